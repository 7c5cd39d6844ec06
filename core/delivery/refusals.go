package delivery

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// Bus carries the responses to refused messages to their senders. [bus.MessageBus] implements it.
type Bus interface {
	// Undelivered tells the sender of m, a component of this runtime, why m is not delivered.
	Undelivered(ctx context.Context, m message.Message, err error)
	// Answer tells the sender of m, at the runtime remote, why m is not delivered.
	Answer(ctx context.Context, remote message.URL, m message.Message, err error)
}

// RefusalOptions are a [Refusals]'s settings. Bus and Go are required.
type RefusalOptions struct {
	Bus Bus
	Go  func(func(ctx context.Context)) // runs a goroutine that its owner waits for; its ctx ends when it must end
	Log hclog.Logger                    // nil: none
}

// Refusals tells senders that messages are not delivered which a component of this runtime had been given or a session had
// taken. It does so in the background, because a sender may be slow to take the answer: one goroutine for each remote runtime
// runs while there is something to tell. Its methods do not wait and may be called from many goroutines.
type Refusals struct {
	o      RefusalOptions
	own    work.Queue[struct{}, refusal]
	others work.Queue[message.URL, refusal] // by remote runtime
}

type refusal struct {
	remote message.URL     // "": this runtime
	m      message.Message // without its body
	why    error
}

// How many may wait for one runtime, and for all remote ones. More are dropped: the session tells a remote runtime in any
// case that its messages were refused.
const (
	maxRefusals    = 4096
	maxAllRefusals = 1 << 16
)

// NewRefusals makes a Refusals.
func NewRefusals(o RefusalOptions) *Refusals {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	r := &Refusals{o: o}
	limits := work.Limits{Keys: maxAllRefusals, Items: maxRefusals, Bytes: maxAllRefusals, AllBytes: maxAllRefusals, Overhead: 1} // each counts one
	r.own.Begin, r.own.Run, r.own.Limits = o.Go, r.tell, limits
	r.others.Begin, r.others.Run, r.others.Limits = o.Go, r.tell, limits
	return r
}

// Add tells the sender of m, which the runtime remote sent, why m is refused. m's body is not kept.
func (r *Refusals) Add(remote message.URL, m message.Message, why error) {
	m.Body = nil
	if !r.others.Do(remote, 0, refusal{remote, m, why}) {
		r.o.Log.Debug("refusal not told: too many wait", "remote", remote, "from", m.From, "to", m.To)
	}
}

// Own is Add for a message of this runtime. The limits for remote runtimes do not apply to it.
func (r *Refusals) Own(m message.Message, why error) {
	m.Body = nil
	if !r.own.Do(struct{}{}, 0, refusal{"", m, why}) {
		r.o.Log.Debug("refusal not told: too many wait", "from", m.From, "to", m.To)
	}
}

func (r *Refusals) tell(ctx context.Context, one refusal) {
	if one.remote == "" {
		r.o.Bus.Undelivered(ctx, one.m, one.why)
	} else {
		r.o.Bus.Answer(ctx, one.remote, one.m, one.why)
	}
}

// GivenUp tells the senders of the messages that a session has given up, however many these are. Where a message may have
// arrived, the answer says that it is in doubt.
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
