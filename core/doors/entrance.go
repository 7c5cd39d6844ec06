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

// Owners knows which addresses belong to which runtime. The Registry implements it.
type Owners interface {
	// Announced enters addresses that a remote runtime has announced as its own.
	Announced(ctx context.Context, remote message.URL, addresses []message.URL)
	// Verify returns an error if the runtime remote may not post under from. It may ask the Domain Registry.
	Verify(ctx context.Context, remote, from message.URL) error
	// TryVerify is Verify, but returns [message.ErrWouldBlock] where Verify would wait.
	TryVerify(remote, from message.URL) error
}

// Entrance takes the messages of sessions to the MessageBus. It is a [session.Acceptor] in front of another one. All fields
// are required.
type Entrance struct {
	Bus     session.Acceptor // the MessageBus
	Owners  Owners
	Handler func(u message.URL) bool // tells whether u is a P2P Handler of this runtime
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
	case ctx.Err() == nil: // if ctx has ended this runtime ends, and the error is not about the invitation
		in.refuse(remote, d, err)
	}
}

// TryAccept is Accept without waiting, for several messages that differ only in their IDs and bodies; see [session.Acceptor].
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
		case errors.Is(err, message.ErrWouldBlock): // the owner must be asked for
			return i
		case err != nil:
			in.refuse(remote, &run[i], err)
		case in.Bus.TryAccept(remote, run[i:i+1]) == 0:
			return i
		}
	}
	return len(run)
}

// refuse tells the sender of an invitation why it is refused.
func (in *Entrance) refuse(remote message.URL, d *minibus.Delivery, err error) {
	in.Log.Warn("invitation in another's name refused", "runtime", remote, "to", d.Message.To, "error", err)
	no := &message.ResponseError{Code: message.CodeForbidden, From: d.Message.To, Description: message.Reason(err)}
	if known := (*message.ResponseError)(nil); errors.As(err, &known) {
		no.Code = known.Code
	}
	d.Receipt.Failed(d.Message, no)
}

// claimed checks what only the session knows: a runtime may invite a Handler of this runtime only in its own name, since an
// invitation can replace a connection. An invitation to a data object is sent in the name of the object's reporter, which
// must belong to the runtime as well: claimed returns that component, and the caller checks whose it is. "": there is none to
// check.
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

// OwnedBy returns an error if a component belongs to another runtime than remote, which says that it is its own. To say so
// inside the session also announces the address.
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
