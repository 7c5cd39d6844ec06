package discovery

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/discovery/internal/peers"
	"github.com/protofly/protofly/core/discovery/internal/watching"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Bus is what Discovery needs of the MessageBus. [bus.MessageBus] implements it.
type Bus interface {
	Listen(at message.URL, h message.Handler) (stop func())
	// Reply posts a response and does not wait for whoever gets it.
	Reply(m message.Message)
}

// Registry knows who is where. [registry.Registry] implements it.
type Registry interface {
	// Hyperty tells whether u is a hyperty that is registered in this runtime.
	Hyperty(u message.URL) bool
	// Presence is that of an address, which is read at its Domain Registry. State is [hyperty.Unknown] where that cannot be asked.
	Presence(ctx context.Context, u message.URL) hyperty.Presence
	// Search asks a Domain Registry for hyperties.
	Search(ctx context.Context, q hyperty.Query) (hyperty.Findings, error)
}

// Registrations are the subscriptions to <address>/registration. [apps.Apps] implements it.
type Registrations interface {
	// Follow subscribes to the registrations of addresses; listen makes a listener.
	Follow(who message.URL, addresses []message.URL, listen func(at message.URL) (stop func())) error
	// Unfollow ends that.
	Unfollow(who message.URL, addresses []message.URL)
}

// Options are what a Discovery is made from. All are required but Heard and Log.
type Options struct {
	Runtime       message.URL // this one
	Domain        string      // its domain
	Bus           Bus
	Registry      Registry
	Registrations Registrations
	Go            func(func(ctx context.Context)) // runs a function in a goroutine that the runtime waits for; its ctx is cancelled when it has to end
	// Heard is when a remote runtime was heard of last, and whether its session uses a direct path; false: there is no session with it.
	Heard func(remote message.URL) (at time.Time, direct, ok bool)
	Log   hclog.Logger // nil: none
}

// Times and limits.
const (
	readPause = 2 * time.Second
	recheck   = 10 * time.Minute
	nodeGrace = 5 * time.Second
	maxReads  = 16 // addresses that are read at a time
	perSecond = 50 // addresses that are read in a second when a Message Node is back
	lookPause = 2 * time.Second
	lease     = 30 * time.Second // how long an address stays watched between two questions
	maxWait   = 30 * time.Second
	maxAll    = 4 * hyperty.MaxWatched // addresses that are watched
	maxPeers  = 1024
	maxFinds  = 16
	eachFinds = 4 // of a hyperty
)

// Discovery is the component. Make it with [New], then [Discovery.Start] it.
type Discovery struct {
	o       Options
	url     message.URL
	wake    chan struct{}
	watched atomic.Int32 // addresses

	mu       sync.Mutex
	watching *watching.Watching
	peers    *peers.Peers
	polls    polls
	finds    map[message.URL]int // that go on, of each hyperty
	finding  int                 // of all
	reads    int                 // that go on
	looked   time.Time           // when it was looked last who of the unreachable was heard of

	subscribing sync.Mutex // is taken before mu
	subscribed  map[message.URL]bool
}

// New makes a Discovery that does nothing yet.
func New(o Options) *Discovery {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Heard == nil {
		o.Heard = func(message.URL) (time.Time, bool, bool) { return time.Time{}, false, false }
	}
	life := strings.ToLower(rand.Text())
	return &Discovery{o: o, url: o.Runtime.Join("discovery"), wake: make(chan struct{}, 1), finds: map[message.URL]int{}, polls: newPolls(), subscribed: map[message.URL]bool{},
		watching: watching.New(watching.Options{Life: life, Each: hyperty.MaxWatched, All: maxAll, Pause: readPause, Recheck: recheck, Grace: nodeGrace, Retry: nodeGrace}),
		peers:    peers.New(peers.Options{Life: life, Max: maxPeers, Grace: nodeGrace}),
	}
}

// poke has run look at what is due.
func (d *Discovery) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// event has note note what has happened to a node or a runtime, and tells it.
func (d *Discovery) event(note func(now time.Time) (told bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if note(time.Now()) {
		d.tellEvents()
	}
}

// tellEvents answers all who wait for events. It is called with the lock.
func (d *Discovery) tellEvents() {
	for _, p := range d.polls.of("") {
		d.answer(p)
	}
}

// answer answers a question with what is new, which may be nothing. It is called with the lock.
func (d *Discovery) answer(p *poll) {
	d.polls.drop(p)
	if p.addresses == nil {
		d.o.Bus.Reply(p.m.Respond(message.CodeOK, news{Version: d.peers.Version(), Events: d.peers.News(p.after)}))
		return
	}
	for _, u := range p.addresses {
		if !d.polls.waits(p.who, u) {
			d.watching.Rest(p.who, u, time.Now().Add(lease))
		}
	}
	d.o.Bus.Reply(p.m.Respond(message.CodeOK, news{Version: d.watching.Version(), Presence: d.watching.News(p.addresses, p.after)}))
}

// news is the value of an answer.
type news struct {
	Version  string                 `json:"version"`
	Presence []hyperty.Presence     `json:"presence,omitempty"`
	Events   []hyperty.RuntimeEvent `json:"events,omitempty"`
}

// refused is an error that becomes the response to a question.
func refused(code int, format string, args ...any) error {
	return &message.ResponseError{Code: code, Description: fmt.Sprintf(format, args...)}
}

// known is an address as it is known: what is below a hyperty or data object lives with it.
func known(u message.URL) message.URL {
	if u.IsRuntime() {
		return u.Canonical()
	}
	return u.Base().Canonical()
}
