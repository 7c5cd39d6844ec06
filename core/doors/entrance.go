package doors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Owners knows whose addresses are whose. The Registry implements it.
type Owners interface {
	// Announced takes addresses that a remote runtime says are its own.
	Announced(ctx context.Context, remote message.URL, addresses []message.URL)
	// Verify refuses where the runtime remote may not post under from. It may ask the Domain Registry.
	Verify(ctx context.Context, remote, from message.URL) error
	// TryVerify is Verify without waiting; [message.ErrWouldBlock].
	TryVerify(remote, from message.URL) error
}

// Entrance takes the messages of sessions to the MessageBus. It is an [session.Acceptor] before another. All fields are required.
type Entrance struct {
	Bus     session.Acceptor // the MessageBus
	Owners  Owners
	Handler func(u message.URL) bool // tells whether it is a P2P Handler of this runtime
	Log     hclog.Logger
}

// Accept takes a message out of a session, and may wait; see [session.Acceptor].
func (in *Entrance) Accept(ctx context.Context, remote message.URL, d *minibus.Delivery) {
	component, err := in.claimed(remote, &d.Message)
	if err == nil && component != "" {
		err = in.OwnedBy(ctx, remote, component)
	}
	switch {
	case err == nil:
		in.Bus.Accept(ctx, remote, d)
	case ctx.Err() == nil: // else this runtime ends, and nothing is said about the invitation
		in.refuse(remote, d, err)
	}
}

// TryAccept is Accept without waiting, for several messages that have all the same but their IDs and bodies; see
// [session.Acceptor].
func (in *Entrance) TryAccept(remote message.URL, run []minibus.Delivery) (taken int) {
	if run[0].Message.Type != message.Create {
		return in.Bus.TryAccept(remote, run)
	}
	for i := range run {
		component, err := in.claimed(remote, &run[i].Message)
		if err == nil && component != "" {
			err = in.Owners.TryVerify(remote, component)
		}
		switch {
		case errors.Is(err, message.ErrWouldBlock): // somebody has to be asked
			return i
		case err != nil:
			in.refuse(remote, &run[i], err)
		case in.Bus.TryAccept(remote, run[i:i+1]) == 0:
			return i
		}
	}
	return len(run)
}

// refuse has the sender of an invitation told why it is not taken.
func (in *Entrance) refuse(remote message.URL, d *minibus.Delivery, err error) {
	in.Log.Warn("invitation in another's name refused", "runtime", remote, "to", d.Message.To, "error", err)
	no := &message.ResponseError{Code: message.CodeForbidden, From: d.Message.To, Description: message.Reason(err)}
	if known := (*message.ResponseError)(nil); errors.As(err, &known) {
		no.Code = known.Code
	}
	d.Receipt.Failed(d.Message, no)
}

// claimed checks what only the session knows: a runtime may invite a Handler of this runtime in its own name alone. Else
// it could have the connection with somebody else replaced. A component is invited to a data object in the name of that
// object's reporter, who has to be of the runtime as well: the caller asks for that component. "": for none.
func (in *Entrance) claimed(remote message.URL, m *message.Message) (component message.URL, err error) {
	if m.Type != message.Create {
		return "", nil
	}
	handler := in.Handler(m.To)
	if !handler && !strings.HasSuffix(string(m.From), "/subscription") {
		return "", nil
	}
	var body struct {
		Value struct {
			Runtime  message.URL `json:"runtime"`
			Reporter message.URL `json:"reporter"`
		} `json:"value"`
	}
	if err := m.Decode(&body); err != nil {
		return "", err
	}
	if !handler {
		return message.ParseURL(string(cmp.Or(body.Value.Reporter, m.Source, m.From)))
	}
	if body.Value.Runtime.Canonical() != remote.Canonical() {
		return "", fmt.Errorf("%s invites in the name of %s", remote, body.Value.Runtime)
	}
	return "", nil
}

// OwnedBy refuses where a component, which the runtime remote says is its own, is another's. A runtime that says so inside
// its session announces the address thereby.
func (in *Entrance) OwnedBy(ctx context.Context, remote, component message.URL) error {
	component, err := message.ParseURL(string(component))
	if err != nil {
		return err
	}
	if proof.KeyDerived(remote) && !component.IsRuntime() {
		in.Owners.Announced(ctx, remote, []message.URL{component})
	}
	return in.Owners.Verify(ctx, remote, component)
}
