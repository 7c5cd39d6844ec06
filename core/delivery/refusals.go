package delivery

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// Bus carries the responses to refused messages to their senders. [bus.MessageBus] implements it.
type Bus interface {
	// Undelivered tells the sender of m, a component of this runtime; r is settled when the sender has heard it, or nobody will.
	Undelivered(ctx context.Context, m message.Message, err error, r minibus.Receipt)
	// Answer tells the sender of m at the runtime remote.
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

	mu    sync.Mutex
	open  int           // senders of this runtime that are to hear something
	heard chan struct{} // closed when there are none; nil while nobody waits for that
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
	r.opened(1)
	if !r.own.Do(struct{}{}, 0, refusal{"", m, why}) {
		r.opened(-1)
		r.o.Log.Debug("refusal not told: too many wait", "from", m.From, "to", m.To)
	}
}

func (r *Refusals) tell(ctx context.Context, one refusal) {
	if one.remote == "" {
		r.o.Bus.Undelivered(ctx, one.m, one.why, minibus.Receipt{By: r})
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
	state := string(outcomeOf(&e).State)
	r.undelivered(e.Messages, func(m *message.Message) *message.ResponseError {
		return &message.ResponseError{Code: message.CodeUnavailable, State: state, From: m.To, Description: fmt.Sprintf(text, e.Remote, e.Why)}
	})
}

// Rejected tells the senders of the messages that a remote runtime has refused, all of them however many. Each was given to that
// runtime, which says so in the session with it.
func (r *Refusals) Rejected(e session.Event) {
	o := outcomeOf(&e)
	r.undelivered(e.Messages, func(m *message.Message) *message.ResponseError {
		return &message.ResponseError{Code: e.Code, State: string(o.State), From: e.Remote, Description: o.Reason}
	})
}

func (r *Refusals) undelivered(list []message.Message, why func(m *message.Message) *message.ResponseError) {
	r.opened(len(list))
	r.o.Go(func(ctx context.Context) {
		for i := range list {
			r.o.Bus.Undelivered(ctx, list[i], why(&list[i]), minibus.Receipt{By: r})
		}
	})
}

// opened is told that so many senders more are to hear something.
func (r *Refusals) opened(more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open += more; r.open == 0 && r.heard != nil {
		close(r.heard)
		r.heard = nil
	}
}

// Settled is called when a sender has heard what became of its message; see [minibus.Taker].
func (r *Refusals) Settled(uint64, uint32, int) { r.opened(-1) }

// Failed is called when a sender has gone before it heard that; see [minibus.Taker].
func (r *Refusals) Failed(uint64, uint32, message.Message, error) { r.opened(-1) }

// Wait waits until the senders of this runtime have heard of all that was refused and given up: their application has the response. The
// error is that of ctx.
func (r *Refusals) Wait(ctx context.Context) error {
	r.mu.Lock()
	if r.open == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.heard == nil {
		r.heard = make(chan struct{})
	}
	heard := r.heard
	r.mu.Unlock()
	select {
	case <-heard:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
