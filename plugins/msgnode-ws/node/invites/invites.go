// Package invites applies the rules of package admission, and counts which runtimes have used a token that is for a number of
// them.
package invites

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
)

// Invites decide who may use the node. Its fields are set before the first call.
type Invites struct {
	Policy *admission.Policy
	State  *state.State
	Writes *writes.Writes
	Log    hclog.Logger
}

// Admit decides whether a runtime, which has proved its key, may use the node. token may be empty.
func (i *Invites) Admit(ctx context.Context, runtime message.URL, token string) (admission.Guest, *refusal.Refusal) {
	v, err := i.Policy.Admit(runtime, token, time.Now())
	return i.admitted(ctx, runtime, v, err)
}

// AdmitUnproved is Admit for a runtime of the reference's dialects, which has proved nothing.
func (i *Invites) AdmitUnproved(ctx context.Context, runtime message.URL, token string) (admission.Guest, *refusal.Refusal) {
	v, err := i.Policy.AdmitUnproved(runtime, token, time.Now())
	return i.admitted(ctx, runtime, v, err)
}

// admitted carries out a verdict: it counts a use of a token that is for a number of runtimes.
func (i *Invites) admitted(ctx context.Context, runtime message.URL, v admission.Verdict, err error) (admission.Guest, *refusal.Refusal) {
	problem := v.Problem
	if err != nil && !errors.As(err, new(*admission.Refused)) {
		problem = err
	}
	if problem != nil {
		i.Log.Error("the key of admission cannot be read", "error", problem)
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
	r := i.redeem(ctx, runtime, v.Counted)
	if r != nil && v.Visitor {
		return i.Policy.Visitor(), nil
	}
	return v.Guest, r
}

// redeem counts a runtime among those that have used a token.
func (i *Invites) redeem(ctx context.Context, runtime message.URL, t *admission.Token) *refusal.Refusal {
	ctx, cancel := i.State.Within(ctx)
	defer cancel()
	err := i.State.Redeemed.Change(ctx, backbone.Hash(t.ID), func(old *state.Redemption) (*state.Redemption, error) {
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
		return refusal.New(message.CodeForbidden, "%s", i.Policy.UsedUp(runtime, t))
	}
	return i.Writes.Failed(err)
}

var errUsedUp = errors.New("used up")

// Expire forgets the uses of tokens that have expired: they admit nobody any more.
func (i *Invites) Expire(ctx context.Context, now time.Time) {
	t := i.State.Redeemed
	if t == nil {
		return
	}
	t.Each(func(key string, r *state.Redemption) {
		if ctx.Err() != nil || r.Expires.IsZero() || now.Sub(r.Expires) < time.Hour {
			return
		}
		ctx, cancel := i.State.Within(ctx)
		defer cancel()
		if err := t.Change(ctx, key, func(*state.Redemption) (*state.Redemption, error) { return nil, nil }); err != nil {
			i.Log.Warn("expiry", "token", key, "error", err)
		}
	})
}
