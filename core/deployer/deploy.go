package deployer

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
func (dep *Deployer) Deploy(ctx context.Context, d registry.Deployment) error {
	if d.Role == sdk.RoleNode {
		d.Plugin = dep.o.Config.NodeStub
	}
	if d.Role == sdk.RoleRequester && !proof.KeyDerived(d.Remote) {
		return fmt.Errorf("%s cannot have a session, nor a P2P connection: what is said with it goes over its Message Node", d.Remote)
	}
	entry, err := dep.o.Catalogue.Find(d.Plugin)
	if err != nil {
		return err
	}
	config := dep.o.Config.StubConfig[d.Plugin]
	if d.Role == sdk.RoleNode {
		if config, err = dep.o.Config.node(ctx, d.Domain, config); err != nil {
			return err
		}
	}
	dep.Add(d)
	err = dep.o.Host.Deploy(ctx, dep.Plugin(entry), stubhost.Instance{
		URL: d.URL, Runtime: dep.o.Self, Role: d.Role, Domain: d.Domain, Remote: d.Remote, Handler: d.Handler, Config: config,
	})
	if err != nil {
		dep.gone(d.URL)
	}
	return err
}

// DeployAll starts instances side by side, and returns the first error.
func (dep *Deployer) DeployAll(ctx context.Context, list []registry.Deployment) (first error) {
	errs := make(chan error, len(list))
	for _, d := range list {
		go func() { errs <- dep.Deploy(ctx, d) }()
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
func (dep *Deployer) Add(d registry.Deployment) {
	stops := []func(){dep.o.Bus.Listen(d.URL, func(ctx context.Context, m message.Message) { dep.post(ctx, d, m) })}
	switch d.Role {
	case sdk.RoleNode:
		dep.o.Doors.AddNode(d.URL, d.Domain)
		stops = append(stops, dep.o.Bus.Listen(d.URL.Join("unreachable"), func(_ context.Context, m message.Message) { dep.unreachable(d, m) }),
			dep.o.Bus.Listen(d.URL.Join("status"), func(_ context.Context, m message.Message) { dep.status(d, m) }))
	case sdk.RoleRequester:
		dep.o.Doors.AddDirect(d.URL, d.URL, d.Remote)
	}
	dep.mu.Lock()
	defer dep.mu.Unlock()
	dep.stubs[d.URL] = deployed{d, func() {
		for _, stop := range stops {
			stop()
		}
	}}
}

// Undeploy ends an instance of a stub; see [registry.Deployer].
func (dep *Deployer) Undeploy(ctx context.Context, stub message.URL) error {
	err := dep.o.Host.Undeploy(ctx, stub)
	dep.gone(stub)
	return err
}

// gone drops what is kept for a stub that has ended.
func (dep *Deployer) gone(stub message.URL) {
	dep.mu.Lock()
	d, ok := dep.stubs[stub]
	delete(dep.stubs, stub)
	dep.mu.Unlock()
	if ok {
		d.stop()
	}
	dep.o.Doors.Drop(stub)
	dep.o.Gone(stub)
}
