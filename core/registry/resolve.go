package registry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// Resolve finds the way for a message that nobody in this runtime listens to (specification, "Resolve"). It blocks only where
// an address must be looked up or a Message Node stub deployed, never for a P2P set-up. The error is a
// *message.ResponseError, or ctx's. Any number of goroutines may call it. Finding the way over a live P2P connection
// allocates nothing.
func (r *Registry) Resolve(ctx context.Context, m message.Message) (bus.Route, error) {
	if way := r.direct(m.To); way != nil {
		return way.Direct, nil
	}
	return r.resolve(ctx, &m, search{setUp: true})
}

// TryResolve is Resolve, but returns [message.ErrWouldBlock] where Resolve would wait.
func (r *Registry) TryResolve(m message.Message) (bus.Route, error) {
	if way := r.direct(m.To); way != nil {
		return way.Direct, nil
	}
	return r.resolve(r.loop.Context(), &m, search{setUp: true, try: true})
}

// search says what may be done to find a way.
type search struct {
	setUp bool // a P2P set-up may start
	try   bool // never wait
}

// Explain is Resolve for a message to an address, but starts no set-up. It may read at the Domain Registry and deploy a
// Message Node stub.
func (r *Registry) Explain(ctx context.Context, to message.URL) (bus.Route, error) {
	if way := r.direct(to); way != nil {
		return way.Direct, nil
	}
	return r.resolve(ctx, &message.Message{Type: message.Read, To: to}, search{})
}

// direct returns the way of the live P2P connection that the address is reached by; nil: there is none. (The directory has no
// back-end function, so asking it first does not change the specification's order.)
func (r *Registry) direct(to message.URL) *directory.Way {
	way, join := r.directory.Direct(to)
	if join {
		r.join(directory.Key(to))
	}
	return way
}

// resolve finds every other way. Its cases are in the specification's order.
func (r *Registry) resolve(ctx context.Context, m *message.Message, s search) (bus.Route, error) {
	to := m.To
	switch {
	case to == message.SessionAddress || to == message.Default:
		return bus.Route{}, r.refuse(message.CodeNotFound, "%s is not an address of a runtime", to)
	case to.IsBackEnd():
		return r.backEnd(ctx, m, s)
	case r.locals.has(to):
		return bus.Route{}, r.refuse(message.CodeNotFound, "%s belongs to this runtime and nobody listens to it", to)
	case to.IsRuntime():
		rt, ok := r.directory.Runtime(to.Runtime())
		if !ok { // its runtime is not known: only its node can know it
			return r.relay(ctx, m, to.Runtime(), 0, s)
		}
		return r.toward(ctx, m, rt, s)
	}
	rt, err := r.find(ctx, to, r.causeOf(m), s.try)
	if err != nil {
		if to.Scheme() == message.SchemeConnection && isCode(err, message.CodeNotFound) {
			return r.objectAtNode(ctx, m, s)
		}
		return bus.Route{}, err
	}
	return r.toward(ctx, m, rt, s)
}

func (r *Registry) backEnd(ctx context.Context, m *message.Message, s search) (bus.Route, error) {
	domain := m.To.NodeDomain()
	if domain == "" {
		domain = r.opts.Domain
	}
	stub, _, err := r.node(ctx, domain, r.causeOf(m), s.try)
	return bus.Route{Stub: stub, Door: stub, Why: "a function of the Message Node of " + domain}, err
}

// objectAtNode is the way to a Connection object that this runtime does not know: it is never in the Domain Registry, but the
// node that allocated its address knows whose it is.
func (r *Registry) objectAtNode(ctx context.Context, m *message.Message, s search) (bus.Route, error) {
	stub, _, err := r.node(ctx, m.To.NodeDomain(), r.causeOf(m), s.try)
	return bus.Route{Stub: stub, Door: stub, Why: "a Connection object: the Message Node of its domain knows whose it is"}, err
}

// toward is the way to an address of a remote runtime.
func (r *Registry) toward(ctx context.Context, m *message.Message, rt *directory.Runtime, s search) (bus.Route, error) {
	w := rt.Way()
	if w.Live() {
		return w.Direct, nil
	}
	if s.setUp && w.Wake && r.wantsP2P(m) && !time.Now().Before(w.RetryAt) {
		r.wake(rt, m.To)
	}
	return r.relay(ctx, m, rt.URL(), w.State, s)
}

// relay is the way over the Message Node of the remote runtime's domain. Where its stub does not run, messages that the
// remote runtime has caused go back the way that its frames came.
func (r *Registry) relay(ctx context.Context, m *message.Message, remote message.URL, state message.Status, s search) (bus.Route, error) {
	if connections.Pending(state) {
		r.opts.Trace.Message(trace.Connecting, *m, trace.Event{Peer: remote, Value: state.String()})
	}
	domain, c := remote.NodeDomain(), r.causeOf(m)
	if _, runs := r.nodes.Now(domain, c); !runs && c == nodes.Theirs && r.nodes.At(domain, c) == nodes.Theirs {
		if stub, ok := r.opts.Nodes.Came(remote); ok {
			return bus.Route{Stub: stub, Door: stub, Remote: remote, Why: "the Message Node by which it has come"}, nil
		}
	}
	stub, deployed, err := r.node(ctx, domain, c, s.try)
	if err != nil {
		return bus.Route{}, err
	}
	if r.opts.Trace.Watched() && (connections.Pending(state) || deployed) {
		value := "registered"
		if deployed {
			value = "deployed"
		}
		r.opts.Trace.Message(trace.Deploy, *m, trace.Event{Via: stub, Peer: remote, Value: value})
	}
	return bus.Route{Stub: stub, Door: stub, Remote: remote, Why: whyRelay(state)}, nil
}

func whyRelay(state message.Status) string {
	switch state {
	case message.Created, message.InProgress:
		return "the Message Node: a P2P connection is being set up"
	case message.Failed:
		return "the Message Node: the last P2P set-up failed"
	case message.Disconnected:
		return "the Message Node: the P2P connection is disconnected"
	default:
		return "the Message Node: no P2P connection"
	}
}

// wantsP2P tells whether m may cause a P2P set-up, by the policy and its own P2P field. Signalling and responses never do.
func (r *Registry) wantsP2P(m *message.Message) bool {
	switch {
	case r.opts.Policy == Never || r.opts.Policy == Commanded || m.P2P == message.No || r.opts.Policy == Requested && m.P2P != message.Yes:
		return false
	case m.Type == message.Response || isSignalling(m.From) || isSignalling(m.To):
		return false
	}
	return m.From != r.url // the Registry's own messages do not
}

// isSignalling tells whether u takes part in setting up P2P connections.
func isSignalling(u message.URL) bool {
	if u.IsRuntime() {
		path := u.Path()
		return strings.Contains(path, "/p2phandler/") || strings.Contains(path, "/p2prequester/")
	}
	return u.Scheme() == message.SchemeConnection
}

// ErrNoWay is the error of RouteTo if there is no way to the runtime at present.
var ErrNoWay = fmt.Errorf("registry: no way to the runtime now")

// RouteTo returns the best way to a remote runtime at present. It does not block and starts no P2P set-up. Where the Message
// Node's stub is missing it returns [ErrNoWay]. If this runtime has dealt with the remote one before, it also has the stub
// deployed, and PathChanged is called when the stub runs. It does not for a runtime from which only frames have come: frames
// prove nothing, and answers can go back the way they came.
func (r *Registry) RouteTo(url message.URL) (bus.Route, error) {
	url = url.Runtime()
	if url == "" || url == r.opts.Runtime {
		return bus.Route{}, fmt.Errorf("%w: %q is no remote runtime", ErrNoWay, url)
	}
	state := message.Status(0)
	rt, known := r.directory.Runtime(url)
	if known {
		w := rt.Way()
		if w.Live() {
			return w.Direct, nil
		}
		state = w.State
	}
	if stub, ok := r.nodes.Now(url.NodeDomain(), nodes.Theirs); ok {
		return bus.Route{Stub: stub, Door: stub, Remote: url, Why: whyRelay(state)}, nil
	}
	if known || r.opts.Trust.Unsigned(url) {
		r.wantNode(url)
	}
	return bus.Route{}, fmt.Errorf("%w: the stub of the Message Node of %s does not run", ErrNoWay, url.NodeDomain())
}
