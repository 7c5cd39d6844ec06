package delivery

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk/message"
)

// Bus is where the senders of messages are told. [bus.MessageBus] implements it.
type Bus interface {
	// Undelivered tells the sender of m, a component of this runtime.
	Undelivered(ctx context.Context, m message.Message, err error)
	// Answer tells the sender of m at the runtime remote.
	Answer(ctx context.Context, remote message.URL, m message.Message, err error) bool
}

// RefusalOptions are a [Refusals]'s settings. Bus and Go are required.
type RefusalOptions struct {
	Bus Bus
	Go  func(func(ctx context.Context)) // runs a goroutine that somebody waits for; its ctx ends when it is to end
	Log hclog.Logger                    // nil: none
}

// Refusals tells senders that messages, which a component of this runtime had been given or a session had taken, will not
// be delivered: in the background, because a sender may be slow to hear it. One goroutine for each remote runtime runs
// while there is something to tell. Its methods do not wait and may be called from many goroutines.
type Refusals struct {
	o RefusalOptions

	mu      sync.Mutex
	waiting map[message.URL][]refusal // by remote runtime; "": this one. None stays when it is empty
	count   int                       // of all, at most maxAllRefusals and those of this runtime
}

type refusal struct {
	m   message.Message // without its body
	why error
}

// How many may wait for one runtime, and for all. More are dropped: a remote runtime's session tells it anyway that the
// messages were refused.
const (
	maxRefusals    = 4096
	maxAllRefusals = 1 << 16
)

// NewRefusals makes them.
func NewRefusals(o RefusalOptions) *Refusals {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Refusals{o: o, waiting: map[message.URL][]refusal{}}
}

// Add has the sender of m, which the runtime remote sent, told why it is not taken; remote "": this runtime's. The body is
// not kept.
func (r *Refusals) Add(remote message.URL, m message.Message, why error) {
	m.Body = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	list, running := r.waiting[remote]
	if len(list) >= maxRefusals || r.count >= maxAllRefusals && remote != "" {
		r.o.Log.Debug("refusal not told: too many wait", "remote", remote, "from", m.From, "to", m.To)
		return
	}
	r.waiting[remote] = append(list, refusal{m, why})
	r.count++
	if !running {
		r.o.Go(func(ctx context.Context) { r.run(ctx, remote) })
	}
}

// Own is Add for a message of this runtime.
func (r *Refusals) Own(m message.Message, why error) { r.Add("", m, why) }

// run tells what waits for one runtime until there is nothing more.
func (r *Refusals) run(ctx context.Context, remote message.URL) {
	for {
		r.mu.Lock()
		list := r.waiting[remote]
		if len(list) == 0 || ctx.Err() != nil {
			delete(r.waiting, remote)
			r.count -= len(list)
			r.mu.Unlock()
			return
		}
		r.waiting[remote] = nil
		r.count -= len(list)
		r.mu.Unlock()
		for _, one := range list {
			if remote == "" {
				r.o.Bus.Undelivered(ctx, one.m, one.why)
			} else {
				r.o.Bus.Answer(ctx, remote, one.m, one.why)
			}
		}
	}
}

// GivenUp tells the senders of the messages that a session has given up, all of them however many; of those that may have
// arrived, that they are in doubt.
func (r *Refusals) GivenUp(e session.Event) {
	if len(e.Messages) == 0 {
		return
	}
	text := "not delivered to %s: %s"
	if e.MayHaveArrived {
		text = "in doubt whether it was delivered to %s: %s"
	}
	r.o.Go(func(ctx context.Context) {
		for _, m := range e.Messages {
			r.o.Bus.Undelivered(ctx, m, &message.ResponseError{Code: message.CodeUnavailable, From: m.To, Description: fmt.Sprintf(text, e.Remote, e.Why)})
		}
	})
}
