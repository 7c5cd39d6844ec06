package session

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session/internal/answers"
	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/memory"
	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/vigil"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Path is one way to a remote runtime: a door of a stub, direct or not. It is comparable.
type Path = paths.Path

// Claims take what remote runtimes say of their addresses. They must not wait for listeners.
type Claims struct {
	// Announced is told which addresses the runtime remote says are its own, before the messages from there that follow
	// are delivered. With it this side announces its own addresses as well.
	Announced func(ctx context.Context, remote message.URL, addresses []message.URL)
	// Ended is told which of them the runtime has given up. Messages from there that came before may still wait for their
	// listeners. It may be nil.
	Ended func(ctx context.Context, remote message.URL, addresses []message.URL)
}

// Key is what a runtime proves in its sessions that it is who its URL says.
type Key = handshake.Key

// Options are what [New] needs. Self, Key, Send and Acceptor must be set; every other zero value stands for the default
// named beside it. No callback is called with a lock held: all may call back into the Sessions.
type Options struct {
	Self        message.URL   // this runtime
	Incarnation uint64        // of this process; 0: a random one
	Key         handshake.Key // what this runtime proves itself with

	// Send hands frames to a path, in their order. It blocks while the path is full, until ctx ends: that happens
	// when the session leaves the path. The frames are reused when it has returned. An error means that the path is
	// gone for this remote runtime.
	Send func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error
	// TrySend is Send of one frame where that waits for nothing and nobody; else it is false, and nothing was sent. With
	// it a message that nothing is queued before is sent by the goroutine that posts it, without it by another one that
	// has to be woken. It must be quick; it is not called while Send or itself is at work for that remote runtime.
	TrySend func(path Path, remote message.URL, frame []byte) bool
	// Acceptor is given the messages of remote runtimes, exactly once; those to one destination in order. TryAccept is
	// called for some messages of a session at a time: by Receive, where few have come, or by a goroutine of the
	// session's. What it does not take, because the destination's listener is behind, and what comes for that destination
	// after it, is given to Accept in a goroutine of the destination's own; its ctx ends with Close. Others go on.
	Acceptor Acceptor
	// Claims are what remote runtimes say of their addresses.
	Claims Claims
	// Refuse is told that nobody will take m, a message of remote that Acceptor has taken: m's sender is to be told
	// why. It must not wait.
	Refuse func(remote message.URL, m message.Message, why error)
	// Rejections has this side tell the senders of messages that a remote runtime refuses, which are in events of the kind
	// [Rejected]. Without it remote runtimes answer them, as they answer those of runtimes that cannot do that.
	Rejections bool
	// Route is the best path now. It is asked when no path is known, when a path failed, and with every probe. It
	// must not block for long. Without it, or where it says false, the session answers on the path by which the
	// last frame came.
	Route func(remote message.URL) (Path, bool)
	// Trust says whether there may be a session with a runtime, in canonical form; the error says why not and what to
	// do. It must be quick. That the runtime is who its address says is checked in any case. Without it everybody may.
	Trust func(remote message.URL) error
	// Events is told what happens to sessions. It must be quick, and may be called from many goroutines.
	Events func(Event)

	RingBytes  int           // unacknowledged bytes a remote runtime; 4 MiB
	InboxBytes int           // received bytes a remote runtime that are not taken by their listeners; 16 MiB
	FrameBytes int           // how much is packed into a frame, unless one message is larger; 32 KiB
	TTL        time.Duration // how long a message may stay unacknowledged, once what was just being sent is handed over; 30 s; negative: for ever
	Linger     time.Duration // how long an idle session keeps goroutines and buffers; 5 s
	Acks       Acks
	Paths      PathTimes
	Keys       KeyLimits
	Totals     Totals
	// IdleTimeout is how long no message is exchanged with a remote runtime before what is kept of it is dropped, unless
	// something is under way, a direct path is there, or Keeps says so; 10 min; negative: never. What comes later makes a new session.
	IdleTimeout time.Duration
	// Silence is when a remote runtime that is not heard of has gone.
	Silence Silence
	Log     hclog.Logger
	Trace   *trace.Hub // told of every frame that is sent, and of every message that comes; nil: nobody
}

// Acks are when what was received is acknowledged.
type Acks struct {
	Frames int           // at once after so many frames; 32
	Delay  time.Duration // how long an acknowledgement waits for data to ride on; 20 ms
}

// PathTimes are when a path that carries nothing is asked about, and left.
type PathTimes struct {
	ProbeMin time.Duration // without acknowledgement for so long: probe; 250 ms
	ProbeMax time.Duration // probes back off up to this; 2 s
	Stall    time.Duration // without acknowledgement for so long: Stalled; 4 s
}

// Silence is how long a remote runtime is not heard of before it counts as gone. It never does where messages live for ever
// (Options.TTL), and as long as messages of it wait here.
type Silence struct {
	Ask  time.Duration // before it is asked for a sign of life, and has gone where its Message Node says then that it is not connected; 2 min
	Gone time.Duration // before it has gone although nobody says so; 10 times Options.TTL, at least 30 s
	Lost time.Duration // the same where there is no way to ask it; 1 h
	// Keeps tells whether something of this runtime relies on the session with remote, even where no message is exchanged: it has to
	// learn that remote has gone, or has started again. It must be quick. Without it nothing does.
	Keeps func(remote message.URL) bool
}

// withDefaults is s with its defaults, where messages live for ttl.
func (s Silence) withDefaults(ttl time.Duration) Silence {
	if s.Keeps == nil {
		s.Keeps = func(message.URL) bool { return false }
	}
	if ttl < 0 {
		s.Ask, s.Gone, s.Lost = 0, 0, 0
		return s
	}
	s.Ask = cmp.Or(s.Ask, 2*time.Minute)
	s.Gone = cmp.Or(s.Gone, outcomes.Silence(ttl))
	s.Lost = cmp.Or(s.Lost, max(time.Hour, s.Gone))
	return s
}

// times are those of a vigil.
func (s *Silence) times() vigil.Options { return vigil.Options{Ask: s.Ask, Gone: s.Gone, Lost: s.Lost} }

// KeyLimits are how much is sealed with one key.
type KeyLimits struct {
	Frames int // 1 Mi
	Bytes  int // 1 GiB
}

// Totals bound all sessions together.
type Totals struct {
	Bytes    int // of messages, in each direction; 256 MiB
	Sessions int // how many remote runtimes; those that were idle for a minute make room, else more are refused; 65536
}

// DefaultIdleTimeout is Options.IdleTimeout where nothing is said.
const DefaultIdleTimeout = 10 * time.Minute

func (o Options) withDefaults() Options {
	number := func(p *int, d int) {
		if *p <= 0 {
			*p = d
		}
	}
	span := func(p *time.Duration, d time.Duration) {
		if *p <= 0 {
			*p = d
		}
	}
	number(&o.RingBytes, 4<<20)
	number(&o.Totals.Bytes, 256<<20)
	number(&o.InboxBytes, 16<<20)
	number(&o.FrameBytes, 32<<10)
	o.FrameBytes = min(o.FrameBytes, sdk.MaxFrame-wire.FrameOverhead)
	number(&o.Acks.Frames, 32)
	number(&o.Keys.Frames, 1<<20)
	number(&o.Keys.Bytes, 1<<30)
	number(&o.Totals.Sessions, 1<<16)
	if o.TTL == 0 {
		o.TTL = 30 * time.Second
	}
	span(&o.Acks.Delay, 20*time.Millisecond)
	span(&o.Paths.ProbeMin, 250*time.Millisecond)
	span(&o.Paths.ProbeMax, 2*time.Second)
	span(&o.Paths.Stall, 4*time.Second)
	span(&o.Linger, 5*time.Second)
	o.Silence = o.Silence.withDefaults(o.TTL)
	if o.IdleTimeout == 0 {
		o.IdleTimeout = DefaultIdleTimeout
	}
	if o.Route == nil {
		o.Route = func(message.URL) (Path, bool) { return Path{}, false }
	}
	if o.Trust == nil {
		o.Trust = func(message.URL) error { return nil }
	}
	if o.Refuse == nil {
		o.Refuse = func(message.URL, message.Message, error) {}
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if uint32(o.Incarnation) == 0 { // its lower half is the life of the process
		o.Incarnation = handshake.NewIncarnation()
	}
	return o
}

// tell tells e to the log and to Events.
func (o *Options) tell(e Event) {
	if o.Log.IsDebug() {
		o.Log.Debug("session", "event", string(e.Kind), "remote", string(e.Remote), "path", string(e.Path.Door), "messages", len(e.IDs), "why", e.Why)
	}
	o.Events(e)
}

// keyLimits are how much one key seals.
func (o *Options) keyLimits() handshake.Limits {
	return handshake.Limits(o.Keys)
}

// shared is what all sessions of a runtime have together.
type shared struct {
	o      Options
	self   message.URL // o.Self in canonical form
	epoch  time.Time
	seed   maphash.Seed // of what remote runtimes are called in minibus.Receipt.Source
	life   *work.Group
	forget func(one *session) // drops a session that has nothing to do

	memory    memory.Total
	strangers strangers.Strangers
	answers   *answers.Answers // to strangers, and by paths that are not in use
}

// now is the time since the sessions were made; it is never 0, which stands for "not set".
func (s *shared) now() time.Duration { return time.Since(s.epoch) + 1 }

// Errors of [Sessions.Post]; they come wrapped with the remote runtime. A message that is too large gives
// [message.ErrTooLarge].
var (
	// ErrBackpressure: the ring stayed full until ctx ended, or the destination stayed behind. The message was not taken:
	// try again later, or slow down.
	ErrBackpressure = message.ErrBackpressure
	// ErrClosed: the runtime is ending. The message was not taken.
	ErrClosed = errors.New("sessions are closed")
	// ErrSelf: the message is for this runtime itself.
	ErrSelf = errors.New("no session with itself")
	// ErrUntrusted: Options.Trust refuses the remote runtime. The message was not taken.
	ErrUntrusted = errors.New("runtime is not trusted")
	// ErrTooMany: there are sessions with Options.Totals.Sessions remote runtimes already. The message was not taken.
	ErrTooMany = errors.New("too many remote runtimes")
)

// EventKind is what happened to a session.
type EventKind string

// The kinds of events.
const (
	Opened   EventKind = "opened"   // paired with the first incarnation of the remote runtime that we know of
	Reset    EventKind = "reset"    // the remote runtime has a new incarnation; IDs are in doubt: sent and not known to be taken
	Renewed  EventKind = "renewed"  // the remote runtime has dropped its side of the session, where nothing was under way; another one goes on
	Idle     EventKind = "idle"     // nothing was exchanged for Options.IdleTimeout, or room was needed: this side is dropped
	Switched EventKind = "switched" // from the path Before to Path; Before is zero for the first
	PathLost EventKind = "lost"     // Path failed or was said to be down; another is sought
	Stalled  EventKind = "stalled"  // nothing was acknowledged on Path for Options.Paths.Stall although it was asked for
	Left     EventKind = "left"     // the remote runtime has left the direct Path: it sends over another; so do we
	Expired  EventKind = "expired"  // IDs were not acknowledged within Options.TTL and are given up
	Refused  EventKind = "refused"  // the remote runtime sent a message that is none; Why says what is wrong
	Gone     EventKind = "gone"     // the remote runtime has gone, see Silence: this side is dropped, and has another life for it should it come back
	Closed   EventKind = "closed"   // Close ended with IDs unacknowledged, or not known to be taken
	Settled  EventKind = "settled"  // IDs, which were posted with PostTracked, were taken, or refused with Code, by their destinations
	// Rejected: IDs were refused by the remote runtime, with Code and because of Why. Their senders do not know it yet.
	Rejected EventKind = "rejected"
	Version  EventKind = "version" // the remote runtime speaks another version of this protocol; Why says who is to be upgraded
	// Untrusted: who tried to make a session was refused: Options.Trust says so, or who it says to be was not proven.
	// Why says what to do. The same refusal is told once in a while.
	Untrusted EventKind = "untrusted"
)

// Event is something that happened to the session with Remote.
type Event struct {
	Kind         EventKind
	Remote       message.URL
	Incarnation  uint64 // of the remote runtime, 0: not known
	Path, Before Path
	// IDs are messages that will not be sent any more. MayHaveArrived says that they were given to a path and may
	// have been delivered (in doubt); otherwise they certainly were not.
	IDs            []message.ID
	Messages       []message.Message // the same messages without their bodies: who sent what to whom
	MayHaveArrived bool
	Code           int // of Settled: 200, or that of the response that the sender gets; of Rejected: that of the refusal
	Why            string
}

// State is a session at one moment, for people.
type State struct {
	Remote      message.URL
	Incarnation uint64 // of the remote runtime, 0: not paired yet
	Path        Path   // zero: none
	Generation  uint64
	Unacked     int    // messages in the ring
	RingBytes   int    // what they take
	Outstanding int    // messages that are not known to be taken: those in the ring and those that wait at the peer
	HeldUp      []Held // destinations there that are behind, and for which posters wait
	InboxBytes  int    // received and not taken yet
	Held        []Held // destinations here that are behind: their messages wait in the session
	LastAck     time.Time
	Relayed     uint64 // messages that were posted while the way was a relay
	Direct      uint64 // … a direct path
	Received    uint64 // messages that were given to their listeners, or will be next
	Resets      uint64 // how often the remote runtime has started again
	Rewinds     uint64 // how often sending went back
	Dropped     uint64 // frames that were refused: malformed, of another incarnation, not authentic, seen before, or with an impossible acknowledgement
}

// Held is a destination that is held up.
type Held struct {
	To       message.URL
	Messages int // that were sent and are not known to be taken; of one here: that wait in the session
	Bytes    int // that they count for
	Posters  int // that wait, at the sender
}

// Acceptor takes the messages of remote runtimes to their listeners.
type Acceptor = deliver.Acceptor
