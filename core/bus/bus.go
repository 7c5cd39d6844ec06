package bus

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Authority says which addresses a component or a runtime may use. The Registry implements it.
type Authority interface {
	// VerifyLocal returns an error if the component owner of this runtime may not post under from.
	VerifyLocal(owner, from message.URL) error
	// Verify returns an error if the runtime remote may not post under from. It may ask the Domain Registry.
	Verify(ctx context.Context, remote, from message.URL) error
	// TryVerify is Verify, but returns [message.ErrWouldBlock] where Verify would wait.
	TryVerify(remote, from message.URL) error
}

// Options are a MessageBus's settings. Runtime is required; Connect gives the rest.
type Options struct {
	Runtime message.URL   // the runtime's own URL
	Inbox   int           // messages that wait for one listener; 0: minibus.DefaultInbox
	Timeout time.Duration // of a request; 0: minibus.DefaultTimeout
	Log     hclog.Logger  // nil: none
	Trace   *trace.Hub
	Tracker Tracker // of messages whose senders learn the outcome; nil: none
}

// Tracker learns the outcome of certain messages that are posted here. [delivery.Tracker] implements it.
type Tracker interface {
	// Receipt returns the receipt that goes with a message to its listeners in this runtime; the zero Receipt if the message
	// is not tracked. It is called for every message, so its arguments are values: a pointer would move each message to the
	// heap.
	Receipt(from message.URL, id message.ID) minibus.Receipt
	// Here is the receipt with which a message of receipt r goes to a listener in this runtime. It is r where the message is tracked;
	// else one by which the sender is told if its listener goes, and has not taken it.
	Here(r minibus.Receipt) minibus.Receipt
	// Refused is called when m, which was posted here, gets the response err.
	Refused(m *message.Message, err error)
	// Answered is called for a response to a component of this runtime that came through the stub of a Message Node, from the
	// node itself or from a runtime without a session.
	Answered(stub message.URL, m *message.Message)
}

// MessageBus carries messages between the components of a runtime, and out of it. It implements [message.Bus].
type MessageBus struct {
	runtime   message.URL
	hyperties message.URL // what the addresses of its ephemeral hyperties begin with
	log       hclog.Logger
	trace     *trace.Hub
	tracker   Tracker
	listeners *minibus.Listeners
	requests  minibus.Requests
	replies   replies

	resolver  Resolver
	out       Forwarder
	authority Authority
	ways      Ways
	seed      maphash.Seed // of addresses

	mu       sync.RWMutex
	forwards map[message.URL][]*forward // by address; a list is never changed in place
	others   atomic.Int64               // how many forwards are of addresses that are not for subscribers; mu guards changes

	subscribed atomic.Uint64 // counts the subscriptions of remote runtimes
}

var _ message.Bus = (*MessageBus)(nil)

// New makes a MessageBus. [MessageBus.Connect] must be called before the first message leaves the runtime. The bus must be
// closed.
func New(o Options) *MessageBus {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Tracker == nil {
		o.Tracker = nobody{}
	}
	b := &MessageBus{
		seed:      maphash.MakeSeed(),
		tracker:   o.Tracker,
		runtime:   o.Runtime.Canonical(),
		hyperties: o.Runtime.Canonical().Join("hyperty") + "/",
		log:       o.Log,
		trace:     o.Trace,
		listeners: minibus.NewListeners(o.Inbox),
		requests:  minibus.Requests{Timeout: o.Timeout},
		forwards:  map[message.URL][]*forward{},
	}
	b.listeners.Below(b.above)
	b.replies.init()
	return b
}

// nobody is a Tracker that tracks no message.
type nobody struct{}

func (nobody) Receipt(message.URL, message.ID) minibus.Receipt { return minibus.Receipt{} }
func (nobody) Here(r minibus.Receipt) minibus.Receipt          { return r }
func (nobody) Refused(*message.Message, error)                 {}
func (nobody) Answered(message.URL, *message.Message)          {}

// Outside is what a MessageBus needs of other components.
type Outside struct {
	Resolver  Resolver
	Forwarder Forwarder
	Authority Authority
	Ways      Ways // nil: each message's way is looked up
}

// Connect gives the bus the way out of the runtime. It is called once, before the bus is used. New cannot have it: the
// Registry, which resolves, is itself a component on this bus.
func (b *MessageBus) Connect(o Outside) {
	b.resolver, b.out, b.authority, b.ways = o.Resolver, o.Forwarder, o.Authority, o.Ways
}

// Listen adds a listener; see [message.Bus].
func (b *MessageBus) Listen(at message.URL, h message.Handler) (stop func()) {
	return b.listeners.Listen(at, h)
}

// ListenApart is Listen for a listener that passes messages on to an application: responses do not wait behind earlier
// messages, because the application may be waiting for just that response. h settles the receipts itself.
// If at is a hyperty's address, the listener gets the messages to the addresses below it too.
func (b *MessageBus) ListenApart(at message.URL, h minibus.TakingHandler) (stop func()) {
	return b.listeners.ListenApart(at, h)
}

// ListenThrough is Listen for a listener with a queue of its own: messages go there at once. As with ListenApart, those to addresses
// below a hyperty's too.
func (b *MessageBus) ListenThrough(at message.URL, to minibus.Receiver) (stop func()) {
	return b.listeners.ListenThrough(at, to)
}

// above is the address of the hyperty that at may be below; at itself where it is below none. What is for subscribers is for those alone.
func (b *MessageBus) above(at message.URL) message.URL {
	up := at
	if !at.IsRuntime() {
		up = at.Base()
	} else if rest, ephemeral := strings.CutPrefix(string(at), string(b.hyperties)); ephemeral {
		if end := strings.IndexByte(rest, '/'); end > 0 {
			up = at[:len(at)-len(rest)+end]
		}
	}
	if up != at && at.ForSubscribers() {
		return at
	}
	return up
}

// Listened tells whether anybody in this runtime listens to the address.
func (b *MessageBus) Listened(at message.URL) bool { return b.listeners.Has(at) }

// Close ends every listener and request, and waits for what is running. It must not be called from a handler.
func (b *MessageBus) Close() {
	b.requests.Close()
	b.replies.close()
	b.listeners.Close()
}
