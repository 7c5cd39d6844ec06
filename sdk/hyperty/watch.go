package hyperty

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// PresenceState says whether somebody is at an address.
type PresenceState string

// The states.
const (
	Unknown    PresenceState = "unknown"    // nobody could say so far
	Registered PresenceState = "registered" // an application has registered it, and its runtime is connected
	Away       PresenceState = "away"       // it belongs to a runtime, but its application, or the runtime, is not there
	Gone       PresenceState = "gone"       // nobody has it: it was given up, or never was
)

// Presence is what is known of an address.
type Presence struct {
	Address message.URL   `json:"address"`
	State   PresenceState `json:"state"`
	// Since is when the state began, as its Message Node or its runtime says; else when the runtime here noticed it.
	Since   time.Time   `json:"since,omitzero"`
	Runtime message.URL `json:"runtime,omitempty"` // where it is, while it is registered
	// Confirmed is false while nobody can be asked: the Message Node of its domain, or the runtime here, is away. The state is the last
	// that was known then.
	Confirmed bool   `json:"confirmed"`
	Why       string `json:"why,omitempty"` // of a state that is not confirmed, or of an entry that is not believed
}

// MaxWatched is how many addresses a hyperty watches at most.
const MaxWatched = 256

// Watch tells the presence of hyperties and data objects: of each address first what it is now, then each change, until ctx ends or the
// loop is left. Who is slow gets the newest presence of each address, and not those between. Nothing is asked but while the loop
// waits:
//
//	for p, err := range h.Watch(ctx, bob) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(p.Address, p.State, p.Since)
//	}
//
// An application that closes or unregisters is seen in about a second, and one whose process is killed as well; a runtime that is
// killed when its Message Node gives it up, after about half a minute. Changes of one address are told at most every two seconds.
// An address below a hyperty stands for the hyperty. A private data object looks as if it were gone.
//
// The loop ends after an error: a *[message.ResponseError] with 400 for an address that cannot be watched (a runtime, a function of
// a Message Node), with 429 for more addresses than [MaxWatched], or than the runtime watches for all its hyperties; [ErrClosed].
// A restart of the runtime is no error.
func (h *Hyperty) Watch(ctx context.Context, addresses ...message.URL) iter.Seq2[Presence, error] {
	return func(yield func(Presence, error) bool) {
		shown := make(map[message.URL]Presence, len(addresses))
		p := polling{h: h, what: "watch"}
		for {
			answer, away, err := p.next(ctx, func(after string, wait int64) any {
				return map[string]any{"watch": watching{addresses, after, wait}}
			})
			if err != nil {
				if ctx.Err() == nil {
					yield(Presence{}, err)
				}
				return
			}
			if away { // nobody can be asked
				for _, u := range slices.Sorted(maps.Keys(shown)) {
					last := shown[u]
					last.Confirmed, last.Why = false, "the runtime is away"
					answer.Presence = append(answer.Presence, last)
				}
			}
			for _, one := range answer.Presence {
				if before, known := shown[one.Address]; known && before == one {
					continue
				}
				shown[one.Address] = one
				if !yield(one, nil) {
					return
				}
			}
		}
	}
}

// watching is what the runtime is asked about presence.
type watching struct {
	Addresses []message.URL `json:"addresses"`
	After     string        `json:"after,omitempty"`
	Wait      int64         `json:"wait"`
}

// EventKind is what a [RuntimeEvent] tells of.
type EventKind string

// The kinds.
const (
	NodeAway        EventKind = "node away"        // the connection to the Message Node of Domain is lost
	NodeBack        EventKind = "node back"        // it is there
	PeerDirect      EventKind = "peer direct"      // messages to the runtime Peer go over a P2P connection
	PeerRelayed     EventKind = "peer relayed"     // … over the Message Node
	PeerUnreachable EventKind = "peer unreachable" // the runtime Peer does not answer; messages for it wait, and expire
)

// RuntimeEvent is something that has happened to the runtime's connections.
type RuntimeEvent struct {
	Kind   EventKind   `json:"kind"`
	Domain string      `json:"domain,omitempty"` // of a Message Node
	Peer   message.URL `json:"peer,omitempty"`   // a remote runtime
	Since  time.Time   `json:"since,omitzero"`
	Why    string      `json:"why,omitempty"`
}

// Events tells of the runtime's connections: first of each Message Node and remote runtime that it deals with how it is now, then each
// change, until ctx ends or the loop is left. Who is slow gets the newest event of each node and runtime, and not those
// between. A runtime is told of when a message has been exchanged with it. That the runtime itself is away [Options.OnState] tells.
//
// The loop ends after an error; see [Hyperty.Watch].
func (h *Hyperty) Events(ctx context.Context) iter.Seq2[RuntimeEvent, error] {
	return func(yield func(RuntimeEvent, error) bool) {
		shown := map[subject]RuntimeEvent{}
		p := polling{h: h, what: "events"}
		for {
			answer, _, err := p.next(ctx, func(after string, wait int64) any {
				return map[string]any{"events": watching{nil, after, wait}}
			})
			if err != nil {
				if ctx.Err() == nil {
					yield(RuntimeEvent{}, err)
				}
				return
			}
			for _, one := range answer.Events {
				about := subject{one.Domain, one.Peer}
				if shown[about] == one {
					continue
				}
				shown[about] = one
				if !yield(one, nil) {
					return
				}
			}
		}
	}
}

// subject is what a RuntimeEvent is about.
type subject struct {
	domain string
	peer   message.URL
}
