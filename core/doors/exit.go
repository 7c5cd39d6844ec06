package doors

import (
	"context"
	"errors"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/delivery"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Sessions takes messages to remote runtimes. [session.Sessions] implements it.
type Sessions interface {
	Post(ctx context.Context, remote message.URL, path session.Path, m message.Message) error
	// PostTracked is Post for a tracked message.
	PostTracked(ctx context.Context, remote message.URL, path session.Path, m message.Message) error
	// TryPost is Post, but returns [message.ErrWouldBlock] where Post would wait.
	TryPost(remote message.URL, path session.Path, m message.Message) error
	// TryPostTracked is PostTracked, but returns [message.ErrWouldBlock] where that would wait.
	TryPostTracked(remote message.URL, path session.Path, m message.Message) error
	// Line returns a [session.Line], for repeated messages to one runtime.
	Line(remote message.URL, path session.Path) (*session.Line, error)
}

// Routes finds routes out of this runtime. The Registry implements it.
type Routes interface {
	// RouteTo returns the best route to a runtime.
	RouteTo(remote message.URL) (bus.Route, error)
	// Standing returns the route of messages from owner to an address, if it is valid for many of them.
	Standing(owner, to message.URL) (registry.Standing, bool)
}

// Sessionless takes messages to runtimes without sessions. [plainpeers.Peers] implements it.
type Sessionless interface {
	Route(ctx context.Context, r bus.Route, m message.Message) (bus.Route, error)
	Post(ctx context.Context, stub, remote message.URL, m message.Message) error
}

// Exit takes messages out of this runtime. It is the MessageBus's [bus.Forwarder]. All fields are required.
type Exit struct {
	Self     message.URL // this runtime
	Sessions Sessions
	Routes   Routes
	Plain    Sessionless
	Stub     func(ctx context.Context, stub message.URL, m message.Message) error // passes a message to a stub, unchanged
}

// Path returns the path of a session for a route.
func Path(r bus.Route) session.Path {
	return session.Path{Door: r.Door, Stub: r.Stub, Direct: r.Direct}
}

// Forward takes a message out of this runtime; see [bus.Forwarder].
func (e *Exit) Forward(ctx context.Context, r bus.Route, m message.Message, receipt minibus.Receipt) error {
	if sessionless(&r) {
		return e.withoutSession(ctx, r, m, delivery.Tracked(receipt))
	}
	r, err := e.best(r)
	if err != nil {
		return err
	}
	if receipt.By == nil {
		err = e.Sessions.Post(ctx, r.Remote, Path(r), m)
	} else {
		err = e.Sessions.PostTracked(ctx, r.Remote, Path(r), m)
	}
	return e.refused(err)
}

// TryForward is Forward, but returns [message.ErrWouldBlock] where Forward would wait. It leaves messages without a session
// to Forward: a plug-in may be busy.
func (e *Exit) TryForward(r bus.Route, m message.Message, receipt minibus.Receipt) error {
	if sessionless(&r) {
		return message.ErrWouldBlock
	}
	r, err := e.best(r)
	if err != nil {
		return err
	}
	if receipt.By == nil {
		err = e.Sessions.TryPost(r.Remote, Path(r), m)
	} else {
		err = e.Sessions.TryPostTracked(r.Remote, Path(r), m)
	}
	return e.refused(err)
}

// sessionless tells whether a message by that route leaves as it is: to a function of a Message Node, or to a runtime without
// a session.
func sessionless(r *bus.Route) bool { return r.Remote == "" || !proof.KeyDerived(r.Remote) }

// best returns r, or the best route to its remote runtime if r names only that.
func (e *Exit) best(r bus.Route) (bus.Route, error) {
	if r.Stub != "" {
		return r, nil
	}
	return e.Routes.RouteTo(r.Remote)
}

// refused makes the response to a message's sender of a session's error.
func (e *Exit) refused(err error) error {
	if errors.Is(err, session.ErrUntrusted) {
		return &message.ResponseError{Code: message.CodeForbidden, From: e.Self, Description: message.Reason(err)}
	}
	return err
}

// withoutSession takes out a message to a function of a Message Node, or to a runtime without a session.
func (e *Exit) withoutSession(ctx context.Context, r bus.Route, m message.Message, tracked *delivery.Message) error {
	remote := r.Remote
	if remote != "" {
		var err error
		if r, err = e.Plain.Route(ctx, r, m); err != nil {
			return err
		}
	}
	tracked.Leaves(r.Stub)
	var err error
	if remote == "" {
		err = e.Stub(ctx, r.Stub, m)
	} else {
		err = e.Plain.Post(ctx, r.Stub, remote, m)
	}
	if err == nil {
		tracked.Left()
	}
	return err
}

// Way returns the way of messages from owner itself to an address, if there is a direct one; see [bus.Ways].
func (e *Exit) Way(owner, to message.URL) bus.Way {
	s, ok := e.Routes.Standing(owner, to)
	if !ok {
		return nil
	}
	r := s.Route()
	if !proof.KeyDerived(r.Remote) {
		return nil
	}
	line, err := e.Sessions.Line(r.Remote, Path(r))
	if err != nil {
		return nil
	}
	return &way{s, line}
}

// way is a [bus.Way] into a session.
type way struct {
	standing registry.Standing
	line     *session.Line
}

func (w *way) Holds() bool { return w.standing.Holds() }

func (w *way) Post(ctx context.Context, m message.Message) error { return w.line.Post(ctx, &m) }

func (w *way) TryPost(m message.Message) error { return w.line.TryPost(&m) }
