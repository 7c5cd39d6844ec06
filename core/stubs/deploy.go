package stubs

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Deploy starts an instance of a stub; see [registry.Deployer].
func (s *Stubs) Deploy(ctx context.Context, d registry.Deployment) error {
	if d.Role == sdk.RoleNode {
		d.Plugin = s.o.Config.NodeStub
	}
	if d.Role == sdk.RoleRequester && !proof.KeyDerived(d.Remote) {
		return fmt.Errorf("%s cannot have a session, nor a P2P connection: what is said with it goes over its Message Node", d.Remote)
	}
	entry, err := s.o.Catalogue.Find(d.Plugin)
	if err != nil {
		return err
	}
	config := s.o.Config.StubConfig[d.Plugin]
	if d.Role == sdk.RoleNode {
		if config, err = s.o.Config.node(ctx, d.Domain, config); err != nil {
			return err
		}
	}
	s.Add(d)
	err = s.o.Host.Deploy(ctx, s.Plugin(entry), stubhost.Instance{
		URL: d.URL, Runtime: s.o.Self, Role: d.Role, Domain: d.Domain, Remote: d.Remote, Handler: d.Handler, Config: config,
	})
	if err != nil {
		s.gone(d.URL)
	}
	return err
}

// DeployAll starts instances side by side, and returns the first error.
func (s *Stubs) DeployAll(ctx context.Context, list []registry.Deployment) (first error) {
	errs := make(chan error, len(list))
	for _, d := range list {
		go func() { errs <- s.Deploy(ctx, d) }()
	}
	for range list {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Add adds the listeners for a stub to the MessageBus, and its door to the table, without starting the stub. It is called before the
// start, because a stub may post at once.
func (s *Stubs) Add(d registry.Deployment) {
	stops := []func(){s.o.Bus.Listen(d.URL, func(ctx context.Context, m message.Message) { s.post(ctx, d, m) })}
	switch d.Role {
	case sdk.RoleNode:
		s.o.Doors.AddNode(d.URL, d.Domain)
		stops = append(stops, s.o.Bus.Listen(d.URL.Join("unreachable"), func(_ context.Context, m message.Message) { s.unreachable(d, m) }),
			s.o.Bus.Listen(d.URL.Join("status"), func(_ context.Context, m message.Message) { s.status(d, m) }))
	case sdk.RoleRequester:
		s.o.Doors.AddDirect(d.URL, d.URL, d.Remote)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stubs[d.URL] = deployed{d, func() {
		for _, stop := range stops {
			stop()
		}
	}}
}

// Undeploy ends an instance of a stub; see [registry.Deployer].
func (s *Stubs) Undeploy(ctx context.Context, stub message.URL) error {
	err := s.o.Host.Undeploy(ctx, stub)
	s.gone(stub)
	return err
}

// gone drops what is kept for a stub that has ended.
func (s *Stubs) gone(stub message.URL) {
	s.mu.Lock()
	d, ok := s.stubs[stub]
	delete(s.stubs, stub)
	s.mu.Unlock()
	if ok {
		d.stop()
	}
	s.o.Doors.Drop(stub)
	s.o.Gone(stub)
}
