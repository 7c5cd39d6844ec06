package api

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Backend is the runtime that the API is served for.
type Backend interface {
	// URL is the runtime's own address.
	URL() message.URL
	// Attach registers a hyperty. deliver is called in order for every message that comes for it, and settles its receipt
	// when the application has taken it, which is later than it returns. It may block while
	// the application is behind; for a response it blocks only where the application does not read at all, so that a
	// Backend which hands responses past the messages that wait keeps a busy handler's own requests going. deliver
	// returns when the attachment is being closed. The error is a *message.ResponseError where the application is to
	// see a certain code: 409 for a name that is taken.
	Attach(ctx context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (Attachment, error)
	// Status says what runs.
	Status(ctx context.Context) (Status, error)
	// Path says which way a message to an address would go now, and changes nothing. The error is a
	// *message.ResponseError where such a message would get that response.
	Path(ctx context.Context, to message.URL) (Path, error)
	// Reload replaces the running process of a plug-in by one of the executable that is installed now, and moves its
	// connections, while messages flow. It returns when the old process is gone, or with an error that says why it goes
	// on. restart: the old process ends before the new one serves.
	Reload(ctx context.Context, plugin string, restart bool) (Reloaded, error)
	// Profile measures the process of a plug-in, or the runtime's own where plugin is "", and returns a file in the format
	// of pprof: kind "cpu" over so many seconds, 1 to 60, "allocs" or "heap".
	Profile(ctx context.Context, plugin, kind string, seconds int) ([]byte, error)
	// Watch has f told of everything that the core does, until stop is called. bodies: with the beginnings of messages.
	Watch(f trace.Func, bodies bool) (stop func())
}

// Attachment is a hyperty of an application behind the API, as the runtime gives it out.
type Attachment interface {
	URL() message.URL
	// Post validates a message of the hyperty and carries it; see [message.Bus]. A from that is not the hyperty's is refused.
	Post(ctx context.Context, m message.Message) error
	// PostTracked is Post for a message with an ID whose sender learns its outcome: tell is called once, with a final
	// state. tell must not wait, and may be called before PostTracked returns. Where PostTracked returns an error it is not
	// called any more.
	PostTracked(ctx context.Context, m message.Message, tell func(hyperty.Outcome)) error
	// TryPost is Post without waiting; [message.ErrWouldBlock].
	TryPost(m message.Message) error
	// Lost is told, before Close, that the registration ends because the application's process or connection has ended, and not
	// because the application has asked for that.
	Lost()
	// TryPostTracked is PostTracked without waiting; [message.ErrWouldBlock].
	TryPostTracked(m message.Message, tell func(hyperty.Outcome)) error
	// Withdraw ends the registration; the hyperty still hears what became of its messages. Close follows.
	Withdraw(ctx context.Context) error
	// Close ends the registration and all that is kept for it.
	Close(ctx context.Context) error
	// Release is Close, and gives the hyperty's name up. The error is a *message.ResponseError where the application is to see a code.
	Release(ctx context.Context) error
}

// Status is what runs in a runtime, for people and for scripts: the JSON of "protofly status --json".
type Status struct {
	Runtime     message.URL  `json:"runtime"`
	Domain      string       `json:"domain"`
	Version     string       `json:"version"`
	Started     time.Time    `json:"started"`
	Hyperties   []Hyperty    `json:"hyperties"`
	Objects     []Object     `json:"objects"`
	Stubs       []Stub       `json:"stubs"`
	Connections []Connection `json:"connections"`
	Sessions    []Session    `json:"sessions"`
	Plugins     []Plugin     `json:"plugins"`

	WithoutSessions []WithoutSession `json:"without_sessions"`

	LeftOut int `json:"left_out,omitempty"` // entries of the lists that there was no room for
}

// lists is s with empty lists where there are none, so that scripts find [] and not null.
func (s Status) lists() Status {
	s.Hyperties, s.Objects, s.Stubs = some(s.Hyperties), some(s.Objects), some(s.Stubs)
	s.Connections, s.Sessions, s.Plugins = some(s.Connections), some(s.Sessions), some(s.Plugins)
	s.WithoutSessions = some(s.WithoutSessions)
	return s
}

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Hyperty is a registered hyperty.
type Hyperty struct {
	URL       message.URL `json:"url"`
	User      message.URL `json:"user,omitempty"`
	Resources []string    `json:"resources,omitempty"`
	Since     time.Time   `json:"since,omitzero"`
}

// Object is a data object that is reported here.
type Object struct {
	URL      message.URL `json:"url"`
	Name     string      `json:"name,omitempty"`
	Reporter message.URL `json:"reporter"`
	Since    time.Time   `json:"since,omitzero"`
}

// Stub is an instance of a protostub.
type Stub struct {
	URL    message.URL    `json:"url"`
	Plugin string         `json:"plugin"`
	Role   string         `json:"role"`             // node, requester, handler
	Domain string         `json:"domain,omitempty"` // of the Message Node that it reaches
	Remote message.URL    `json:"remote,omitempty"`
	State  message.Status `json:"state,omitzero"`
	Since  time.Time      `json:"since,omitzero"` // in this state
	Why    string         `json:"why,omitempty"`  // what the stub said of its state
}

// Connection is a P2P connection with a remote runtime.
type Connection struct {
	Remote    message.URL    `json:"remote"`
	Plugin    string         `json:"plugin"`
	Stub      message.URL    `json:"stub"`
	Door      message.URL    `json:"door,omitempty"`
	State     message.Status `json:"state,omitzero"`
	Since     time.Time      `json:"since,omitzero"` // in this state
	Addresses int            `json:"addresses"`      // how many are known to be behind it
	Attempts  int            `json:"attempts,omitempty"`
	Why       string         `json:"why,omitempty"` // why it failed or broke
}

// Session is what keeps the messages with a remote runtime exactly once and in order.
type Session struct {
	Remote         message.URL `json:"remote"`
	Door           message.URL `json:"door,omitempty"` // the path in use
	Direct         bool        `json:"direct"`
	Sent           uint64      `json:"sent"`
	Received       uint64      `json:"received"`
	Unacknowledged int         `json:"unacknowledged"`    // messages
	Outstanding    int         `json:"outstanding"`       // messages that are not known to be taken: the unacknowledged, and those that wait at the other side
	HeldUp         []HeldUp    `json:"held_up,omitempty"` // who is behind there
	Waiting        []HeldUp    `json:"waiting,omitempty"` // who is behind here: what waits for them
	Resets         uint64      `json:"resets"`            // how often the remote runtime has started again
}

// HeldUp is an address whose messages wait for it, because it takes them too slowly or not at all.
type HeldUp struct {
	Address  message.URL `json:"address"`
	Messages int         `json:"messages"`          // that wait
	Bytes    int         `json:"bytes"`             // that they count for
	Posters  int         `json:"posters,omitempty"` // that wait to post more
}

// WithoutSession is a remote runtime that is spoken with without a session: its messages may come never, twice, out of
// order, altered, or from somebody else, and others can read them.
type WithoutSession struct {
	Remote   message.URL `json:"remote"`
	Session  string      `json:"session"` // NoSession
	Sent     uint64      `json:"sent"`
	Received uint64      `json:"received"`
	Since    time.Time   `json:"since,omitzero"`
}

// NoSession is what stands in the place of a session where there is none.
const NoSession = "none"

// Plugin is a plug-in's process.
type Plugin struct {
	Name      string    `json:"name"`
	Version   string    `json:"version,omitempty"`
	PID       int       `json:"pid,omitempty"` // 0: not running
	State     string    `json:"state"`
	Restarts  int       `json:"restarts"`
	Since     time.Time `json:"since,omitzero"`
	Instances int       `json:"instances"`
	LastError string    `json:"last_error,omitempty"`
	Sandbox   string    `json:"sandbox"`        // what confines it; "off: …": nothing does
	User      string    `json:"user,omitempty"` // the user ID it runs under, and what that cannot read; "root: …": why it has none of its own
}

// Reloaded is how the reload of a plug-in went: the JSON of "protofly plugins reload --json".
type Reloaded struct {
	Plugin     string  `json:"plugin"`
	Running    bool    `json:"running"` // false: it did not run, and the new executable is used when it does
	OldVersion string  `json:"old_version,omitempty"`
	NewVersion string  `json:"new_version,omitempty"`
	OldPID     int     `json:"old_pid,omitempty"`
	NewPID     int     `json:"new_pid,omitempty"`
	Cut        int     `json:"cut"`               // stubs that were still in the old process when its time was over
	HandOver   float64 `json:"hand_over_seconds"` // until the stubs ran in the new process
	Drain      float64 `json:"drain_seconds"`     // from then until the old process was gone
}

// Path is which way a message would go: the JSON of "protofly path --json".
type Path struct {
	To     message.URL `json:"to"`
	Way    Way         `json:"way"`
	Remote message.URL `json:"remote,omitempty"` // the runtime that it is for; empty for a back end of a Message Node
	Stub   message.URL `json:"stub,omitempty"`   // that carries it
	Door   message.URL `json:"door,omitempty"`   // that it leaves by
	Why    string      `json:"why,omitempty"`

	Session string `json:"session,omitempty"` // NoSession: not once, not in order, not unread; see WithoutSession
}

// Way is the kind of a path.
type Way string

// The ways.
const (
	WayLocal  Way = "local"  // the address is in this runtime
	WayDirect Way = "direct" // a P2P connection
	WayRelay  Way = "relay"  // the Message Node
)
