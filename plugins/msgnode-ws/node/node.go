package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/allocation"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/expiry"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/invites"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/protofly"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/reference"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/registry"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/relay"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/subscriptions"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/web"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
)

// Version is the node's version, as its Welcome says it.
const Version = "1.0.0"

// Node is a running Message Node.
type Node struct {
	opts   Options
	number string // of this process, in subjects
	unlock func() // unlocks the data folder; nil: there is none

	rates    *rates.Rates
	listener *web.Listener
	nats     *backbone.NATS
	conns    *conn.Set
	router   *routing.Router
	state    *state.State
	parts    parts
	web      *web.Server

	ctx    context.Context // ends when the node closes
	cancel context.CancelFunc
	wg     sync.WaitGroup // the router and the expiry
	once   sync.Once      // Close
}

// parts are what answers requests.
type parts struct {
	writes        *writes.Writes
	rights        *rights.Rights
	invites       *invites.Invites
	allocation    *allocation.Allocation
	subscriptions *subscriptions.Subscriptions
	registry      *registry.Registry
	relay         *relay.Relay
}

// New starts a node: its NATS, its state and its listening socket. It serves nobody before [Node.Serve]. The error says
// what is wrong with o or what could not be opened.
func New(ctx context.Context, o Options) (_ *Node, err error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("message node: %w", err)
	}
	o = o.withDefaults()
	n := &Node{opts: o, number: backbone.Hash(rand.Text())[:12], rates: rates.New(o.Limits)}
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	// The socket comes before the state: a port in use is the most frequent mistake and the quickest to see.
	if err := n.listen(); err != nil {
		return nil, err
	}
	policy, err := admission.New(o.Domain, o.Admit, o.admissionKey())
	if err != nil {
		return nil, fmt.Errorf("message node: admit: %w", err)
	}
	if err := n.openRouter(); err != nil {
		return nil, err
	}
	if err := n.openState(ctx, policy); err != nil {
		return nil, err
	}
	n.openWeb()
	n.wg.Go(func() { n.router.Run(n.ctx) })
	n.wg.Go(func() {
		expiry.New(expiry.Options{Limits: o.Limits, Times: o.Times, State: n.state, Writes: n.parts.writes, NATS: n.nats, Router: n.router,
			Registry: n.parts.registry, Invites: n.parts.invites, Log: o.Log}).Run(n.ctx)
	})
	return n, nil
}

// listen locks the data folder, and opens the socket.
func (n *Node) listen() (err error) {
	if n.opts.NATS == "" {
		if n.unlock, err = lockFolder(n.opts.Data); err != nil {
			return err
		}
	}
	socket, err := net.Listen("tcp", n.opts.Listen)
	if err != nil {
		return fmt.Errorf("message node: listen: %w; is the port in use? choose another one, or 0 for any", err)
	}
	n.listener = web.NewListener(socket, n.opts.sources(), n.rates, n.opts.Limits, n.opts.TLS != nil)
	if n.opts.sources().Off {
		n.opts.Log.Warn("connections are not counted by address: insecure says that a proxy stands before the node, and proxies does not name it")
	}
	return nil
}

// openRouter starts NATS, and the router that joins connections with it.
func (n *Node) openRouter() (err error) {
	o := &n.opts
	n.conns = conn.NewSet(n.ctx, conn.Options{Node: n.number, Queue: o.Limits.Queue, Memory: o.Limits.Memory, Write: o.Times.Write, Ping: o.Times.Ping, Trace: o.Trace, Log: o.Log})
	var seal *backbone.Seal
	if o.NATS != "" {
		if seal, err = backbone.NewSeal(o.NATSKey, o.Domain); err != nil {
			return err
		}
	}
	var losses losses
	if n.nats, err = backbone.Start(backbone.Options{Domain: o.Domain, URL: o.NATS, Credentials: o.NATSCredentials, Data: o.Data, Log: o.Log, Lost: losses.lost}); err != nil {
		return err
	}
	n.router, err = routing.New(routing.Options{Domain: o.Domain, Node: n.number, Cluster: o.NATS != "", NATS: n.nats, Seal: seal, Conns: n.conns, Places: n.listener,
		Limits: o.Limits, Times: o.Times, Log: o.Log})
	if err != nil {
		return fmt.Errorf("message node: %w", err)
	}
	losses.tell(n.router)
	return nil
}

// losses tells the router what NATS had to drop. NATS may drop messages while the router is being made: nobody waits for
// them yet.
type losses struct {
	router atomic.Pointer[routing.Router]
}

// tell has the router told of all that is lost from now on.
func (l *losses) tell(r *routing.Router) { l.router.Store(r) }

// lost is called when NATS had to drop messages that came on a subject, in a goroutine of NATS's.
func (l *losses) lost(subject string) {
	if r := l.router.Load(); r != nil {
		r.Overrun(subject)
	}
}

// openState opens the tables and makes the functions that work on them. It converts what an earlier version wrote, and then
// sets the state's bounds.
func (n *Node) openState(ctx context.Context, policy *admission.Policy) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	o := &n.opts
	n.state, err = state.Open(ctx, state.Options{Domain: o.Domain, NATS: n.nats, Replicas: o.Replicas, Invites: o.Admit.Invites(), Timeout: o.Times.State,
		Runtime: o.Limits.RuntimeState, Address: o.Limits.AddressState, All: o.Limits.State, Rows: o.Limits.Rows, Granted: n.router.Granted, Noted: n.router.Noted, Log: o.Log})
	if err != nil {
		return err
	}
	n.parts = newParts(n, policy)
	n.router.Use(n.state, n.parts.rights)
	if err := n.parts.allocation.Upgrade(ctx); err != nil {
		return err
	}
	n.state.Bound() // only now: rows from before there were bounds are not refused
	return nil
}

// newParts makes what answers requests.
func newParts(n *Node, policy *admission.Policy) (p parts) {
	o := &n.opts
	p.writes = &writes.Writes{MinFree: o.Limits.MinFree, Limit: o.Limits.Writes, Rates: n.rates, NATS: n.nats, Log: o.Log}
	if o.NATS == "" {
		p.writes.Folder = o.Data
	}
	p.rights = &rights.Rights{Domain: o.Domain, State: n.state, Connected: n.router.Roster.Connected}
	p.invites = &invites.Invites{Policy: policy, State: n.state, Writes: p.writes, Log: o.Log}
	p.allocation = allocation.New(o.Domain, o.Limits, n.state, p.writes, n.router, o.Log)
	p.subscriptions = subscriptions.New(o.Limits, n.state, p.writes, p.rights, n.router, o.Log)
	p.registry = registry.New(o.Domain, o.Limits, n.state, p.writes, p.rights, n.router)
	p.relay = relay.New(relay.Options{Domain: o.Domain, Rates: n.rates, Rights: p.rights, Router: n.router, Trace: o.Trace, Log: o.Log,
		Allocation: p.allocation, Subscriptions: p.subscriptions, Registry: p.registry})
	return p
}

// openWeb makes the HTTP server and what serves its connections.
func (n *Node) openWeb() {
	o, p := &n.opts, &n.parts
	binary := protofly.New(protofly.Options{Version: Version, Domain: o.Domain, Times: o.Times, Limits: o.Limits, Rates: n.rates, State: n.state,
		Invites: p.invites, Router: n.router, Relay: p.relay, Trace: o.Trace, Log: o.Log})
	json := reference.New(reference.Options{Times: o.Times, State: n.state, Writes: p.writes, Invites: p.invites, Router: n.router, Relay: p.relay,
		Subscriptions: p.subscriptions, Allocation: p.allocation, Log: o.Log})
	n.web = web.New(web.Options{Context: n.ctx, Domain: o.Domain, TLS: o.TLS, Insecure: o.Insecure, PublicURL: o.PublicURL, Legacy: o.Legacy, Origins: o.Origins,
		Sources: o.sources(), Limits: o.Limits, Times: o.Times, Listener: n.listener, Rates: n.rates, Conns: n.conns, Router: n.router, Invites: p.invites,
		Binary: binary, Reference: json, Writes: p.writes, Connected: n.nats.Connected, Log: o.Log})
}

// Addr is the address that the node listens on.
func (n *Node) Addr() net.Addr { return n.listener.Addr() }

// Serve answers connections until ctx ends, then closes the node: connections are told that it stops (code 1001). It
// returns nil after that, or the error that the HTTP server ended with.
func (n *Node) Serve(ctx context.Context) error {
	err := n.web.Serve(ctx)
	n.Close()
	return err
}

// closeTime is how long connections have to answer that the node stops.
const closeTime = 2 * time.Second

// Close ends every connection, waits for all that the node started, and frees its data folder. It may be called more
// than once.
func (n *Node) Close() { n.once.Do(n.close) }

func (n *Node) close() {
	if n.listener != nil {
		n.listener.Close()
	}
	if n.conns != nil {
		cut := time.AfterFunc(closeTime, n.cancel) // a connection that does not answer the close is cut off
		n.conns.Close()
		cut.Stop()
	}
	n.cancel()
	n.wg.Wait()
	if n.state != nil {
		n.state.Close()
	}
	if n.nats != nil {
		n.nats.Close()
	}
	if n.unlock != nil {
		n.unlock()
	}
}
