package doors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Bus takes messages that remote runtimes sent. [bus.MessageBus] implements it.
type Bus interface {
	Accept(ctx context.Context, a *bus.Arrival) bool
	AcceptRun(remote message.URL, run []minibus.Handed) int
}

// Owners knows whose addresses are whose. The Registry implements it.
type Owners interface {
	// Announced takes addresses that a remote runtime says are its own.
	Announced(ctx context.Context, remote message.URL, addresses []message.URL)
	// Verify refuses where the runtime remote may not post under from. It may ask the Domain Registry.
	Verify(ctx context.Context, remote, from message.URL) error
}

// Entrance takes the messages of sessions to the MessageBus. All fields are required.
type Entrance struct {
	Bus     Bus
	Owners  Owners
	Handler func(u message.URL) bool // tells whether it is a P2P Handler of this runtime
	Log     hclog.Logger
}

// Deliver takes a message out of a session; see [session.Options].
func (in *Entrance) Deliver(ctx context.Context, d *session.Delivery) bool {
	if err := in.admit(ctx, d); err != nil {
		if !d.Wait && errors.Is(err, context.Canceled) { // somebody has to be asked
			return ctx.Err() != nil
		}
		in.Log.Warn("invitation in another's name refused", "runtime", d.Remote, "to", d.Message.To, "error", err)
		no := &message.ResponseError{Code: message.CodeForbidden, From: d.Message.To, Description: err.Error()}
		if known := (*message.ResponseError)(nil); errors.As(err, &known) {
			no.Code = known.Code
		}
		d.Receipt.Failed(d.Message, no)
		return true
	}
	return in.Bus.Accept(ctx, &bus.Arrival{Remote: d.Remote, Door: d.Door, Message: d.Message, Receipt: d.Receipt, Wait: d.Wait, Again: d.Again})
}

// DeliverRun is Deliver for several messages that have all the same but their IDs and bodies; see [session.Options]. What
// needs to be looked at one by one it leaves to Deliver.
func (in *Entrance) DeliverRun(r *session.Run) int {
	if r.Messages[0].Message.Type == message.Create { // see admit
		return 0
	}
	return in.Bus.AcceptRun(r.Remote, r.Messages)
}

// admit checks what only the session knows: a runtime may invite a Handler of this runtime in its own name alone. Else
// it could have the connection with somebody else replaced. A component is invited to a data object in the name of that
// object's reporter, who has to be of the runtime as well.
func (in *Entrance) admit(ctx context.Context, d *session.Delivery) error {
	m := &d.Message
	if m.Type != message.Create {
		return nil
	}
	handler := in.Handler(m.To)
	if !handler && !strings.HasSuffix(string(m.From), "/subscription") {
		return nil
	}
	var body struct {
		Value struct {
			Runtime  message.URL `json:"runtime"`
			Reporter message.URL `json:"reporter"`
		} `json:"value"`
	}
	if err := m.Decode(&body); err != nil {
		return err
	}
	if !handler {
		if !d.Wait {
			now, over := context.WithCancel(ctx)
			over()
			ctx = now
		}
		return in.OwnedBy(ctx, d.Remote, cmp.Or(body.Value.Reporter, m.Source, m.From))
	}
	if body.Value.Runtime.Canonical() != d.Remote.Canonical() {
		return fmt.Errorf("%s invites in the name of %s", d.Remote, body.Value.Runtime)
	}
	return nil
}

// OwnedBy refuses where a component, which the runtime remote says is its own, is another's. A runtime that says so inside
// its session announces the address thereby.
func (in *Entrance) OwnedBy(ctx context.Context, remote, component message.URL) error {
	component, err := message.ParseURL(string(component))
	if err != nil {
		return err
	}
	if proof.KeyDerived(remote) && !component.IsRuntime() && ctx.Err() == nil {
		in.Owners.Announced(ctx, remote, []message.URL{component})
	}
	return in.Owners.Verify(ctx, remote, component)
}
