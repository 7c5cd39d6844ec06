package apps

import (
	"context"
	"fmt"

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
}

// Options are an [Apps]'s settings. All are required but Gone and Log.
type Options struct {
	Self     message.URL // this runtime
	Bus      Bus
	Request  func(ctx context.Context, m message.Message) (message.Message, error) // posts a request on the bus in the runtime's own name
	Registry Registry
	Tracker  *delivery.Tracker
	Gone     func(hyperty message.URL)       // called when a hyperty has gone
	Go       func(func(ctx context.Context)) // runs a function in a goroutine that the runtime waits for; its ctx is cancelled when it has to end
	Log      hclog.Logger                    // nil: none
}

// Apps is the hyperties of this runtime. Its methods may be called from many goroutines.
type Apps struct {
	o             Options
	registrations registrations
}

// New makes an Apps without hyperties.
func New(o Options) *Apps {
	if o.Gone == nil {
		o.Gone = func(message.URL) {}
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Apps{o: o, registrations: registrations{
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
		Name: r.Name, User: r.User, Descriptor: r.Descriptor, Resources: r.Resources, DataSchemes: r.DataSchemes,
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

// Attachment connects one hyperty with the MessageBus.
type Attachment struct {
	all    *Apps
	url    message.URL
	bus    *bus.Handle
	listen func(at message.URL) (stop func())           // adds a listener that gives the hyperty the messages to an address
	give   func(ctx context.Context, m message.Message) // gives the hyperty a message
	stop   func()
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

// Close ends the hyperty and drops all that is kept for it.
func (a *Attachment) Close(ctx context.Context) error {
	a.stop()
	a.all.o.Tracker.End(a.url)
	a.all.registrations.end(a.url)
	a.all.o.Gone(a.url)
	return a.all.o.Registry.Unregister(ctx, a.url)
}
