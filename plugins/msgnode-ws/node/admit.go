package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// Invite makes the text of a token for the node that o describes. ID is chosen where it is empty. It works while the node
// runs; the nodes of a domain that have the same key all take the token.
func Invite(o Options, t Token) (text string, made Token, err error) {
	return admission.Invite(o.Domain, o.admissionKey(), t)
}

// admit decides whether a runtime, which has proved its key, may use the node. token may be empty.
func (n *Node) admit(ctx context.Context, runtime message.URL, token string) (admission.Guest, *refusal.Refusal) {
	v, err := n.admission.Admit(runtime, token, time.Now())
	return n.admitted(ctx, runtime, v, err)
}

// admitLegacy decides it for a runtime of the reference's dialects, which has proved nothing.
func (n *Node) admitLegacy(ctx context.Context, runtime message.URL, token string) (admission.Guest, *refusal.Refusal) {
	v, err := n.admission.AdmitUnproved(runtime, token, time.Now())
	return n.admitted(ctx, runtime, v, err)
}

// admitted does what was decided: it uses up a token that is for a number of runtimes.
func (n *Node) admitted(ctx context.Context, runtime message.URL, v admission.Verdict, err error) (admission.Guest, *refusal.Refusal) {
	problem := v.Problem
	if err != nil && !errors.As(err, new(*admission.Refused)) {
		problem = err
	}
	if problem != nil {
		n.log.Error("the key of admission cannot be read", "error", problem)
	}
	if err != nil && problem == err {
		return admission.Guest{}, refusal.New(message.CodeError, "the node cannot check tokens now; its operator's log says why")
	}
	if err != nil {
		return admission.Guest{}, refusal.New(message.CodeForbidden, "%s", err)
	}
	if v.Counted == nil {
		return v.Guest, nil
	}
	r := n.redeem(ctx, runtime, v.Counted)
	if r != nil && v.Visitor {
		return n.admission.Visitor(), nil
	}
	return v.Guest, r
}

// redeem counts a runtime among those that have used a token.
func (n *Node) redeem(ctx context.Context, runtime message.URL, t *Token) *refusal.Refusal {
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	err := n.state.Redeemed.Change(ctx, backbone.Hash(t.ID), func(old *state.Redemption) (*state.Redemption, error) {
		used := &state.Redemption{Expires: t.Expires}
		if old != nil {
			if slices.Contains(old.Runtimes, runtime) {
				return old, nil
			}
			used.Runtimes = old.Runtimes
		}
		if len(used.Runtimes) >= t.Uses {
			return nil, errUsedUp
		}
		used.Runtimes = append(slices.Clone(used.Runtimes), runtime)
		return used, nil
	})
	if errors.Is(err, errUsedUp) {
		return refusal.New(message.CodeForbidden, "%s", n.admission.UsedUp(runtime, t))
	}
	return n.stateRefusal(err)
}

var errUsedUp = errors.New("used up")

// expireRedemptions forgets who used tokens that have expired: they admit nobody any more.
func (n *Node) expireRedemptions() {
	t := n.state.Redeemed
	if t == nil {
		return
	}
	now := time.Now()
	t.Each(func(key string, r *state.Redemption) {
		if n.ctx.Err() != nil || r.Expires.IsZero() || now.Sub(r.Expires) < time.Hour {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.Times.State)
		defer cancel()
		if err := t.Change(ctx, key, func(*state.Redemption) (*state.Redemption, error) { return nil, nil }); err != nil {
			n.log.Warn("expiry", "token", key, "error", err)
		}
	})
}
