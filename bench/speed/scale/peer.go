package scale

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// peer is a member that other runtimes see as a runtime: with a MessageBus, a Registry and sessions of its own.
type peer struct {
	crowd    *crowd
	plugin   string // with which it asks for connections
	id       *identity.Identity
	bus      *bus.MessageBus
	sessions *session.Sessions
	registry *registry.Registry
	sync     *syncmanager.Manager // of the set-ups' Connection objects
	node     message.URL          // its stub of the Message Node

	ready      chan struct{} // closed when that stub is connected
	direct     chan struct{} // closed when a P2P connection is live
	onceReady  sync.Once
	onceDirect sync.Once

	mu    sync.RWMutex
	stubs map[message.URL]registry.Deployment
}

func (c *crowd) newPeer(plugin string) (*peer, error) {
	id, err := c.newIdentity()
	if err != nil {
		return nil, err
	}
	private, certificate, err := id.SessionKey()
	if err != nil {
		return nil, err
	}
	self := id.URL()
	p := &peer{crowd: c, plugin: plugin, id: id, node: nodeStub(self, c.Domain), stubs: map[message.URL]registry.Deployment{},
		ready: make(chan struct{}), direct: make(chan struct{})}
	p.bus = bus.New(bus.Options{Runtime: self})
	p.sessions = session.New(session.Options{Self: self, Key: session.Key{Private: private, Certificate: certificate},
		Send: p.send, Acceptor: p.bus, Route: p.route})
	p.registry = registry.New(registry.Options{Runtime: self, Domain: c.Domain, Bus: p.bus, Deployer: p, PathChanged: p.pathChanged,
		P2P:   registry.P2POptions{Prefer: []string{plugin}, Connects: proof.KeyDerived},
		Trust: registry.Trust{SignEntry: id.SignEntry}, Nodes: registry.NodeOptions{Back: p.sessions.Returned}})
	p.bus.Connect(bus.Outside{Resolver: p.registry, Forwarder: p, Authority: p.registry})
	id.Serve(p.bus, p.signs)
	p.sync = syncmanager.New(syncmanager.Options{Runtime: self, Domain: c.Domain, Bus: p.bus, Objects: p.registry, Local: p.registry.Local})
	p.registry.Start()
	return p, nil
}

// begin makes the Registry deploy the stub of the Message Node.
func (p *peer) begin(ctx context.Context) error {
	_, err := p.registry.Explain(ctx, message.DomainRegistryAddress(p.crowd.Domain))
	return err
}

func (p *peer) joined() <-chan struct{} { return p.ready }

// Deploy starts an instance of a stub; see registry.Deployer.
func (p *peer) Deploy(ctx context.Context, d registry.Deployment) error {
	p.mu.Lock()
	p.stubs[d.URL] = d
	p.mu.Unlock()
	p.bus.Listen(d.URL, func(ctx context.Context, m message.Message) { _ = p.crowd.host.Post(ctx, d.URL, m) })
	in := stubhost.Instance{URL: d.URL, Runtime: p.id.URL(), Role: d.Role, Domain: d.Domain, Remote: d.Remote, Handler: d.Handler}
	if d.Role == sdk.RoleNode {
		d.Plugin, in.Config = core.DefaultNodeStub, message.Encode(map[string]string{"url": p.crowd.Node})
	}
	return p.crowd.deploy(ctx, d.Plugin, in)
}

// Undeploy ends an instance of a stub; see registry.Deployer.
func (p *peer) Undeploy(ctx context.Context, stub message.URL) error {
	return p.crowd.host.Undeploy(ctx, stub)
}

func (p *peer) stub(u message.URL) (registry.Deployment, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	d, ok := p.stubs[u]
	return d, ok
}

func (p *peer) signs(u message.URL) (identity.Stub, bool) {
	d, ok := p.stub(u)
	return identity.Stub{Role: d.Role, Domain: d.Domain, Remote: d.Remote}, ok
}

// message takes what a stub posts.
func (p *peer) message(ctx context.Context, stub message.URL, m message.Message) {
	d, ok := p.stub(stub)
	if !ok {
		return
	}
	if d.Role == sdk.RoleNode {
		if live(stub, &m) {
			p.onceReady.Do(func() { close(p.ready) })
		}
		if !m.From.Within(stub) {
			p.bus.ArriveFromNode(ctx, stub, m)
			return
		}
	}
	_ = p.bus.From(ctx, stub, m)
}

// frames takes frames that came in by a door: a Requester's leads to one runtime, the Message Node's to all.
func (p *peer) frames(ctx context.Context, stub, door message.URL, frames []sdk.Frame) {
	d, ok := p.stub(stub)
	if !ok {
		return
	}
	for _, f := range frames {
		remote := d.Remote
		if d.Role == sdk.RoleNode {
			remote = f.Peer.Runtime()
		}
		if remote != "" {
			p.sessions.Receive(ctx, remote, session.Path{Door: door, Stub: stub, Direct: d.Role != sdk.RoleNode}, f.Payload)
		}
	}
}

// Forward takes a message to a Message Node's function or into a session; see bus.Forwarder.
func (p *peer) Forward(ctx context.Context, r bus.Route, m message.Message, _ minibus.Receipt) error {
	if r.Remote == "" {
		return p.crowd.host.Post(ctx, r.Stub, m)
	}
	if r.Stub == "" {
		var err error
		if r, err = p.registry.RouteTo(r.Remote); err != nil {
			return err
		}
	}
	return p.sessions.Post(ctx, r.Remote, path(r), m)
}

// TryForward leaves everything to Forward.
func (p *peer) TryForward(bus.Route, message.Message, minibus.Receipt) error {
	return message.ErrWouldBlock
}

func path(r bus.Route) session.Path {
	return session.Path{Door: r.Door, Stub: r.Stub, Direct: r.Direct}
}

func (p *peer) route(remote message.URL) (session.Path, bool) {
	r, err := p.registry.RouteTo(remote)
	return path(r), err == nil
}

func (p *peer) send(ctx context.Context, by session.Path, remote message.URL, payloads ...[]byte) error {
	frames := make([]sdk.Frame, len(payloads))
	for i, payload := range payloads {
		frames[i].Payload = payload
		if !by.Direct {
			frames[i].Peer = remote
		}
	}
	return p.crowd.host.Send(ctx, by.Stub, by.Door, frames...)
}

func (p *peer) pathChanged(remote message.URL, r bus.Route) {
	p.sessions.UsePath(remote, path(r))
	if r.Direct {
		p.onceDirect.Do(func() { close(p.direct) })
	}
}

// meet sends a message to an address at another runtime, which asks for a connection, and waits until that is live. Meanwhile
// it sends more messages: if many connect at once, a set-up may be given up, and the next message asks for another one.
func (p *peer) meet(ctx context.Context, to message.URL) error {
	for {
		m, err := p.bus.Request(ctx, message.Message{Type: message.Read, From: p.id.URL().Join("crowd"), To: to})
		if err == nil {
			_, err = m.OK()
		}
		if err != nil {
			return err
		}
		again := time.NewTimer(sayAgain)
		select {
		case <-p.direct:
			again.Stop()
			return nil
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return fmt.Errorf("%s has no P2P connection to %s: %w; its connections: %+v", p.id.URL(), to, ctx.Err(), p.registry.Snapshot().Connections)
		}
	}
}

func (p *peer) close(ctx context.Context) {
	_ = p.sessions.Close(ctx)
	_ = p.registry.Close(ctx)
	p.sync.Close()
	p.bus.Close()
}
