package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/networks"
)

// stubs is every stub that is deployed, with the end of its listener on the MessageBus.
type stubs struct {
	mu sync.RWMutex
	by map[message.URL]deployed // what the Registry has deployed: its limits
}

type deployed struct {
	registry.Deployment
	stop func()
}

func (s *stubs) add(d deployed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[message.URL]deployed{}
	}
	s.by[d.URL] = d
}

func (s *stubs) take(url message.URL) (deployed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.by[url]
	delete(s.by, url)
	return d, ok
}

func (s *stubs) get(url message.URL) (deployed, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, ok := s.by[url]
	return d, ok
}

func (s *stubs) is(url message.URL, role sdk.Role) bool {
	d, ok := s.get(url)
	return ok && d.Role == role
}

// signs is what the runtime's key is used for at the request of a stub.
func (s *stubs) signs(url message.URL) (identity.Stub, bool) {
	d, ok := s.get(url)
	return identity.Stub{Role: d.Role, Domain: d.Domain, Remote: d.Remote}, ok
}

// handlers are this runtime's P2P Handlers, one for each P2P plug-in in use.
func (rt *Runtime) handlers() []registry.Handler {
	list := make([]registry.Handler, 0, len(rt.config.P2P.Use))
	for _, name := range rt.config.P2P.Use {
		list = append(list, registry.Handler{Name: name, URL: rt.URL().Join("p2phandler", name)})
	}
	return list
}

// deployHandlers starts them, side by side.
func (rt *Runtime) deployHandlers(ctx context.Context) error {
	handlers := rt.handlers()
	errs := make(chan error, len(handlers))
	for _, h := range handlers {
		go func() { errs <- rt.Deploy(ctx, registry.Deployment{URL: h.URL, Role: sdk.RoleHandler, Plugin: h.Name}) }()
	}
	var first error
	for range handlers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// joinNode has the own Message Node's stub deployed before anybody needs it, so that others reach this runtime.
func (rt *Runtime) joinNode() {
	if _, err := rt.registry.Explain(rt.ctx, message.DomainRegistryAddress(rt.config.Domain)); err != nil && rt.ctx.Err() == nil {
		rt.log.Warn("the own Message Node cannot be reached; it is tried again when it is needed", "domain", rt.config.Domain, "error", err)
	}
}

// Deploy starts an instance of a stub; see registry.Deployer.
func (rt *Runtime) Deploy(ctx context.Context, d registry.Deployment) error {
	if d.Role == sdk.RoleNode {
		d.Plugin = rt.config.NodeStub
	}
	if d.Role == sdk.RoleRequester && plainpeers.Sessionless(d.Remote) {
		return fmt.Errorf("%s cannot have a session, nor a P2P connection: what is said with it goes over its Message Node", d.Remote)
	}
	entry, err := rt.catalogue.Find(d.Plugin)
	if err != nil {
		return err
	}
	config := rt.config.StubConfig[d.Plugin]
	if d.Role == sdk.RoleNode {
		if config, err = rt.nodeConfig(ctx, d.Domain, config); err != nil {
			return err
		}
	}
	stop := rt.bus.Listen(d.URL, func(ctx context.Context, m message.Message) { rt.toStub(ctx, d, m) })
	if d.Role == sdk.RoleNode {
		stop = join(stop, rt.bus.Listen(d.URL.Join("unreachable"), func(_ context.Context, m message.Message) { rt.unreachable(d, m) }),
			rt.bus.Listen(d.URL.Join("status"), func(_ context.Context, m message.Message) {
				if m.From.Within(d.URL) { // anybody may post there; the Registry says so
					rt.notices.status(d.Domain, m)
				}
			}))
	}
	if d.Role == sdk.RoleRequester {
		rt.doors.set(d.URL, d.URL, d.Remote)
	}
	rt.stubs.add(deployed{d, stop})
	err = rt.host.Deploy(ctx, rt.plugin(entry), stubhost.Instance{
		URL: d.URL, Runtime: rt.URL(), Role: d.Role, Domain: d.Domain, Remote: d.Remote, Handler: d.Handler, Config: config,
	})
	if err != nil {
		rt.gone(d.URL)
	}
	return err
}

func join(stops ...func()) func() {
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// Undeploy ends an instance of a stub; see registry.Deployer.
func (rt *Runtime) Undeploy(ctx context.Context, stub message.URL) error {
	err := rt.host.Undeploy(ctx, stub)
	rt.gone(stub)
	return err
}

// gone forgets a stub that has ended.
func (rt *Runtime) gone(stub message.URL) {
	if d, ok := rt.stubs.take(stub); ok {
		d.stop()
	}
	rt.doors.drop(stub)
	rt.sync.ComponentGone(stub)
}

// nodeConfig is the configuration of a Message Node's stub: the operator's, with the node's address, and with where
// that may be if the operator has not named it.
func (rt *Runtime) nodeConfig(ctx context.Context, domain string, config json.RawMessage) (json.RawMessage, error) {
	url, known := rt.config.Nodes[domain]
	var within *networks.Allowed
	if !known && domain != rt.config.Domain {
		within = &rt.networks
	}
	if !known {
		var err error
		if url, err = catalogue.NodeAddress(ctx, domain, within); err != nil {
			return nil, fmt.Errorf("the Message Node of %s is not found: %w", domain, err)
		}
	}
	members := map[string]json.RawMessage{}
	if len(config) > 0 {
		if err := json.Unmarshal(config, &members); err != nil {
			return nil, fmt.Errorf("configuration of plug-in %s: %w", rt.config.NodeStub, err)
		}
		members = maps.Clone(members)
	}
	members["url"] = message.Encode(url)
	if within != nil {
		members["networks"] = message.Encode(within)
	}
	return message.Encode(members), nil
}

// toStub gives a message to a stub's MiniBus.
func (rt *Runtime) toStub(ctx context.Context, d registry.Deployment, m message.Message) {
	if d.Role == sdk.RoleHandler && m.Type == message.Subscribe && m.From.Within(rt.URL()) {
		rt.noteDoor(d.URL, m)
	}
	if err := rt.host.Post(ctx, d.URL, m); err != nil && ctx.Err() == nil {
		rt.log.Debug("stub not reached", "stub", d.URL, "type", m.Type, "from", m.From, "error", err)
		if m.Type != message.Response {
			rt.bus.Reply(m.Refuse(message.CodeUnavailable, "the plug-in %s does not run: %v", d.Plugin, err))
		}
	}
}

// unreachable is told by a Message Node's stub that the node has no connection of a runtime. The session keeps what is
// for it and tries again; people who look at the log should know.
func (rt *Runtime) unreachable(d registry.Deployment, m message.Message) {
	var body struct {
		Value message.URL `json:"value"`
	}
	if m.Type == message.Update && m.From.Within(d.URL) && m.Decode(&body) == nil {
		rt.log.Info("remote runtime is not connected to its Message Node: messages to it wait", "remote", body.Value)
	}
}

// noteDoor remembers which runtime is behind the p2p-connectionUrl that the Registry subscribes at a Handler, before
// the first frame comes in through it.
func (rt *Runtime) noteDoor(handler message.URL, m message.Message) {
	var body struct {
		Subscribe message.URLs `json:"subscribe"`
		Peer      message.URL  `json:"peer"`
	}
	if m.Decode(&body) == nil && len(body.Subscribe) == 1 && body.Peer != "" {
		rt.doors.set(handler, body.Subscribe[0], body.Peer)
	}
}

// fromStub takes a control message from a stub: what it posts itself, or, from a Message Node's stub, what its node
// sent, or carries from a runtime without a session. The error says that the plug-in spoke for somebody else. It never waits
// for the stub: what the stub posts next waits behind it, and the stub's restart too.
func (rt *Runtime) fromStub(ctx context.Context, stub message.URL, m message.Message) error {
	d, ok := rt.stubs.get(stub)
	if !ok { // its last words, which came after its end
		rt.log.Debug("message of a stub that is gone", "stub", stub, "type", m.Type, "to", m.To)
		return nil
	}
	if d.Role == sdk.RoleNode && !m.From.Within(stub) {
		if !m.From.IsBackEnd() {
			rt.plain.Receive(plainpeers.Node{Stub: stub, Domain: d.Domain}, m)
			return nil
		}
		of := m.From.NodeDomain()
		if of == "" { // of the scheme global, which the own domain's node serves
			of = rt.config.Domain
		}
		if of != d.Domain {
			rt.log.Warn("a Message Node spoke for somebody else", "stub", stub, "from", m.From, "to", m.To)
			return nil
		}
		rt.bus.ArriveFromNode(ctx, stub, m)
		return nil
	}
	err := rt.bus.From(ctx, stub, m)
	if err == nil {
		return nil
	}
	rt.log.Warn("stub's message refused", "stub", stub, "from", m.From, "to", m.To, "error", err)
	if m.Type != message.Response && !strings.HasSuffix(string(m.To), "/status") {
		rt.host.TryPost(stub, m.Refuse(message.CodeForbidden, "%v", err))
	}
	if errors.Is(err, bus.ErrForged) {
		return err
	}
	return nil
}

// named tells whether the operator has named the Message Node of a domain.
func (rt *Runtime) named(domain string) bool {
	_, ok := rt.config.Nodes[domain]
	return ok
}

// came is the Message Node's stub by which a remote runtime has come.
func (rt *Runtime) came(remote message.URL) (message.URL, bool) {
	p, ok := rt.sessions.Came(remote)
	return p.Stub, ok && !p.Direct && rt.stubs.is(p.Stub, sdk.RoleNode)
}
