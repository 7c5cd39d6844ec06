package events

import (
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// Tracker takes the outcomes of messages from sessions. [delivery.Tracker] implements it.
type Tracker interface {
	Session(e session.Event)
}

// Refusals tells the senders of messages that a session has given up. [delivery.Refusals] implements it.
type Refusals interface {
	GivenUp(e session.Event)
}

// Connections are the P2P connections. [registry.Registry] implements it.
type Connections interface {
	// Suspect has a connection given up that is up and carries nothing.
	Suspect(remote, door message.URL)
}

// Observers are those of data objects. [syncmanager.Manager] implements it.
type Observers interface {
	// RuntimeGone drops what the runtime observes here, which it has forgotten.
	RuntimeGone(remote message.URL)
	// Refresh asks the runtime again for what is observed from here.
	Refresh(remote message.URL)
}

// Sessions passes on what happens to sessions. All fields are required but Trace.
type Sessions struct {
	Tracker     Tracker
	Refusals    Refusals
	Connections Connections
	Observers   Observers
	Log         hclog.Logger
	Trace       *trace.Hub // nil: nobody watches
}

// Event is told what has happened to a session; see [session.Options].
func (s *Sessions) Event(e session.Event) {
	s.Tracker.Session(e)
	switch e.Kind {
	case session.Settled:
	case session.Version:
		s.Log.Error("remote runtime of another version", "remote", e.Remote, "door", e.Path.Door, "why", e.Why)
	case session.Stalled:
		if e.Path.Direct { // it is up, but carries nothing
			s.Connections.Suspect(e.Remote, e.Path.Door)
		}
		s.Log.Warn("nothing is acknowledged", "remote", e.Remote, "door", e.Path.Door)
	case session.Left:
		s.Connections.Suspect(e.Remote, e.Path.Door)
		s.Log.Info("the other side has left the direct path", "remote", e.Remote, "door", e.Path.Door)
	case session.Reset:
		s.Observers.RuntimeGone(e.Remote)
		s.Observers.Refresh(e.Remote)
		s.Log.Info("remote runtime has restarted", "remote", e.Remote, "in doubt", len(e.IDs))
		s.Refusals.GivenUp(e)
	case session.Expired, session.Closed:
		s.Log.Warn("messages given up", "remote", e.Remote, "messages", len(e.IDs), "may have arrived", e.MayHaveArrived, "why", e.Why)
		s.Refusals.GivenUp(e)
	case session.Untrusted:
		s.Log.Error("remote runtime refused", "remote", e.Remote, "door", e.Path.Door, "why", e.Why)
		s.Trace.Emit(trace.Event{Kind: trace.Untrusted, Peer: e.Remote, Via: e.Path.Door, Value: e.Why})
	case session.Refused:
		s.Log.Warn("remote runtime sent what is no message", "remote", e.Remote, "why", e.Why)
	default:
		s.Log.Debug("session "+string(e.Kind), "remote", e.Remote, "door", e.Path.Door, "before", e.Before.Door, "why", e.Why)
	}
}
