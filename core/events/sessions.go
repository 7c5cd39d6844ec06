package events

import (
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/sdk/message"
)

// Tracker takes the outcomes of messages from sessions. [delivery.Tracker] implements it.
type Tracker interface {
	Session(e session.Event)
}

// Refusals tells the senders of messages that a session has given up. [delivery.Refusals] implements it.
type Refusals interface {
	GivenUp(e session.Event)
	// Rejected is GivenUp for messages that the remote runtime has refused.
	Rejected(e session.Event)
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
	// Undelivered has the runtime hear later of what messages to it, which it has not taken, say of objects.
	Undelivered(remote message.URL, messages []message.Message)
}

// Watcher tells applications how remote runtimes are reached. [discovery.Discovery] implements it.
type Watcher interface {
	Session(e session.Event)
}

// Sessions passes on what happens to sessions. All fields are required but Watcher, Peers and Trace.
type Sessions struct {
	Tracker     Tracker
	Refusals    Refusals
	Connections Connections
	Observers   Observers
	Watcher     Watcher // nil: nobody watches
	Log         hclog.Logger
	Peers       *logs.Peers // limits the lines about remote runtimes; nil: nothing does
	Trace       *trace.Hub  // nil: nobody watches
}

// Event is told what has happened to a session; see [session.Options].
func (s *Sessions) Event(e session.Event) {
	s.Tracker.Session(e)
	if s.Watcher != nil {
		s.Watcher.Session(e)
	}
	switch e.Kind {
	case session.Settled:
	case session.Rejected:
		s.Observers.Undelivered(e.Remote, e.Messages)
		s.Refusals.Rejected(e)
	case session.Version:
		s.Log.Error("remote runtime of another version", "remote", e.Remote, "door", e.Path.Door, "why", e.Why)
	case session.Stalled:
		if e.Path.Direct { // it is up, but carries nothing
			s.Connections.Suspect(e.Remote, e.Path.Door)
		}
		s.Peers.Log(s.Log, hclog.Warn, "nothing is acknowledged", e.Remote, "door", e.Path.Door)
	case session.Left:
		s.Connections.Suspect(e.Remote, e.Path.Door)
		s.Peers.Log(s.Log, hclog.Info, "the other side has left the direct path", e.Remote, "door", e.Path.Door)
	case session.Reset:
		s.Observers.RuntimeGone(e.Remote)
		s.Observers.Refresh(e.Remote)
		s.Peers.Log(s.Log, hclog.Info, "remote runtime has restarted", e.Remote, "in doubt", len(e.IDs))
		s.Refusals.GivenUp(e)
	case session.Gone: // should it come back it meets another life of this runtime, so it observes anew what it did
		s.Observers.RuntimeGone(e.Remote)
		s.Observers.Refresh(e.Remote)
		s.Peers.Log(s.Log, hclog.Info, "remote runtime has gone", e.Remote, "why", e.Why)
	case session.Expired, session.Closed:
		s.Observers.Undelivered(e.Remote, e.Messages)
		s.Peers.Log(s.Log, hclog.Warn, "messages given up", e.Remote, "messages", len(e.IDs), "may have arrived", e.MayHaveArrived, "why", e.Why)
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
