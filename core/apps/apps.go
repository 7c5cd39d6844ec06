package apps

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/apps/inprocess"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/delivery"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Bus carries what hyperties post, and has their listeners. [bus.MessageBus] implements it.
type Bus interface {
	Handle(owner message.URL) *bus.Handle
	ListenThrough(at message.URL, to minibus.Receiver) (stop func())
	ListenApart(at message.URL, h minibus.TakingHandler) (stop func())
}

// Registry gives hyperties their addresses. [registry.Registry] implements it.
type Registry interface {
	RegisterHyperty(ctx context.Context, h registry.Hyperty) (message.URL, error)
	Unregister(ctx context.Context, url message.URL) error
	Release(ctx context.Context, url message.URL) error
}

// Options are an [Apps]'s settings. All are required but Gone, Lost and Log.
type Options struct {
	Self     message.URL // this runtime
	Bus      Bus
	Request  func(ctx context.Context, m message.Message) (message.Message, error) // posts a request on the bus in the runtime's own name
	Registry Registry
	Tracker  *delivery.Tracker
	Gone     func(hyperty message.URL)       // is told that a hyperty has gone, because its application has ended it
	Lost     func(hyperty message.URL)       // the same, because its application's process or connection has ended
	Go       func(func(ctx context.Context)) // runs a function in a goroutine that the runtime waits for; its ctx is cancelled when it has to end
	Log      hclog.Logger                    // nil: none
}

// Apps is the hyperties of this runtime. Its methods may be called from many goroutines.
type Apps struct {
	o             Options
	registrations registrations

	mu     sync.Mutex
	inside map[*Attachment]func(ctx context.Context) error // of applications in this process: hands back what waits
}

// New makes an Apps without hyperties.
func New(o Options) *Apps {
	if o.Gone == nil {
		o.Gone = func(message.URL) {}
	}
	if o.Lost == nil {
		o.Lost = o.Gone
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Apps{o: o, inside: map[*Attachment]func(ctx context.Context) error{}, registrations: registrations{
		self: o.Self, request: o.Request, begin: o.Go, log: o.Log, followers: map[message.URL]map[message.URL]func(){},
	}}
}

// Register makes a hyperty of an application in this process; see [hyperty.Runtime].
func (all *Apps) Register(ctx context.Context, r hyperty.Registration) (*hyperty.Hyperty, error) {
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("register hyperty: %w", err)
	}
	return inprocess.New(ctx, all.o.Self, func(ctx context.Context, to minibus.Receiver) (inprocess.Attachment, error) {
		a, err := all.attach(ctx, r, &Attachment{
			listen: func(at message.URL) (stop func()) { return all.o.Bus.ListenThrough(at, to) },
			give:   func(ctx context.Context, m message.Message) { to.Hand(ctx, m, minibus.Receipt{}) },
		})
		if err != nil {
			return nil, err
		}
		if b, ok := to.(interface {
			Drain(ctx context.Context) error
		}); ok {
			all.mu.Lock()
			all.inside[a] = b.Drain
			all.mu.Unlock()
		}
		return a, nil
	})
}

// Attach registers a hyperty of the application API; deliver gives it its messages. See [api.Backend].
func (all *Apps) Attach(ctx context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (*Attachment, error) {
	return all.attach(ctx, r, &Attachment{
		listen: func(at message.URL) (stop func()) { return all.o.Bus.ListenApart(at, deliver) },
		give:   func(ctx context.Context, m message.Message) { deliver(ctx, m, minibus.Receipt{}) },
	})
}

// attach registers a hyperty and completes its attachment.
func (all *Apps) attach(ctx context.Context, r hyperty.Registration, a *Attachment) (*Attachment, error) {
	url, err := all.o.Registry.RegisterHyperty(ctx, registry.Hyperty{
		Name: r.Name, Ephemeral: r.Ephemeral, Resumed: r.Resumed, User: r.User, Descriptor: r.Descriptor, Resources: r.Resources, DataSchemes: r.DataSchemes,
	})
	if err != nil {
		return nil, err
	}
	a.all, a.url, a.bus, a.stop = all, url, all.o.Bus.Handle(url), a.listen(url)
	return a, nil
}

// NodeLive is called when the Message Node of a domain is connected again. The node may have forgotten the subscriptions of
// this runtime, so they are made again.
func (all *Apps) NodeLive(domain string) { all.registrations.renew(domain) }

// Follow has a component of the runtime follow the registrations of addresses, at most 1024: it gets what their Message Node says of
// each at <address>/registration, by the listener that listen makes.
func (all *Apps) Follow(who message.URL, addresses []message.URL, listen func(at message.URL) (stop func())) error {
	return all.registrations.follow(who, addresses, listen)
}

// Unfollow ends that.
func (all *Apps) Unfollow(who message.URL, addresses []message.URL) {
	all.registrations.unfollow(who, addresses)
}

// Attachment connects one hyperty with the MessageBus.
type Attachment struct {
	all    *Apps
	url    message.URL
	bus    *bus.Handle
	listen func(at message.URL) (stop func())           // adds a listener that gives the hyperty the messages to an address
	give   func(ctx context.Context, m message.Message) // gives the hyperty a message
	stop   func()
	lost   atomic.Bool // its application has gone without a word
	left   atomic.Bool // it is not registered any more
}

// URL is the hyperty's address.
func (a *Attachment) URL() message.URL { return a.url }

// Post posts a message of the hyperty; see [inprocess.Attachment].
func (a *Attachment) Post(ctx context.Context, m message.Message) error {
	if m.Type == message.Subscribe || m.Type == message.Unsubscribe {
		if err := m.Check(); err != nil { // before a listener is added or ended for it
			return err
		}
		done, err := a.all.registrations.post(a.url, a.listen, m)
		if done {
			a.all.o.Tracker.Settle(m.From, m.ID, hyperty.Outcome{State: hyperty.Delivered})
			a.give(ctx, m.Respond(message.CodeOK, nil))
		}
		if done || err != nil {
			return err
		}
	}
	return a.bus.Post(ctx, &m)
}

// TryPost is Post without waiting; see [api.Attachment].
func (a *Attachment) TryPost(m message.Message) error {
	if m.To.IsBackEnd() { // Post may have to wait, since a plug-in may be busy
		return message.ErrWouldBlock
	}
	return a.bus.TryPost(&m)
}

// PostTracked is Post for a message whose sender learns its outcome; see [inprocess.Attachment].
func (a *Attachment) PostTracked(ctx context.Context, m message.Message, tell func(hyperty.Outcome)) error {
	return a.track(&m, tell, func() error { return a.Post(ctx, m) })
}

// TryPostTracked is PostTracked without waiting; see [api.Attachment].
func (a *Attachment) TryPostTracked(m message.Message, tell func(hyperty.Outcome)) error {
	return a.track(&m, tell, func() error { return a.TryPost(m) })
}

// track tracks a message that post posts.
func (a *Attachment) track(m *message.Message, tell func(hyperty.Outcome), post func() error) error {
	if err := a.all.o.Tracker.Add(m, tell); err != nil {
		return err
	}
	err := post()
	if err != nil {
		a.all.o.Tracker.Drop(m.From, m.ID)
	}
	return err
}

// Lost is told that Close follows because the application's process or connection has ended; see [api.Attachment].
func (a *Attachment) Lost() { a.lost.Store(true) }

// Withdraw ends the registration, while the hyperty still hears what became of its messages; Close follows. See [api.Attachment].
func (a *Attachment) Withdraw(ctx context.Context) error {
	return a.leave(ctx, a.all.o.Registry.Unregister)
}

// Close ends the hyperty and what is kept for it.
func (a *Attachment) Close(ctx context.Context) error {
	a.end()
	return a.leave(ctx, a.all.o.Registry.Unregister)
}

// Release is Close, and gives the hyperty's name up; see [registry.Registry.Release].
func (a *Attachment) Release(ctx context.Context) error {
	a.end()
	return a.leave(ctx, a.all.o.Registry.Release)
}

// end ends what is kept for the hyperty to hear of messages.
func (a *Attachment) end() {
	a.stop()
	a.all.o.Tracker.End(a.url)
	a.all.mu.Lock()
	delete(a.all.inside, a)
	a.all.mu.Unlock()
}

// leave ends the registration, once.
func (a *Attachment) leave(ctx context.Context, unregister func(ctx context.Context, url message.URL) error) error {
	if !a.left.CompareAndSwap(false, true) {
		return nil
	}
	a.all.registrations.end(a.url)
	if a.lost.Load() {
		a.all.o.Lost(a.url)
	} else {
		a.all.o.Gone(a.url)
	}
	return unregister(ctx, a.url)
}

// Drain hands back what waits for the applications in this process, and waits for their handlers in the time of ctx: their hyperties
// take nothing any more.
func (all *Apps) Drain(ctx context.Context) {
	all.mu.Lock()
	inside := slices.Collect(maps.Values(all.inside))
	all.mu.Unlock()
	var wg sync.WaitGroup
	for _, drain := range inside {
		wg.Go(func() { _ = drain(ctx) })
	}
	wg.Wait()
}
