package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Admit says who may use the node. A runtime of the node's domain is a member, one of another domain a visitor. The zero
// value admits anyone.
//
// While not every member is admitted, a visitor that is admitted as anyone, and shows no token, reaches members, and is reached by them; it is
// given no addresses, writes nothing into the Domain Registry, and is not carried to third parties.
type Admit struct {
	Members  string // [Anyone] (the default), [Listed] or [Invited]
	Visitors string // the same
	// Runtimes are admitted by [Listed] and by [Invited]. A runtime proves with its key that it is one of them.
	Runtimes []message.URL
	// Revoked are runtimes, and IDs of tokens, that are admitted no more, whatever else is said.
	Revoked []string
	// Key is the file of the key that tokens are signed with (PKCS #8, PEM), or of its public key where others make
	// the tokens. Default: admission-key.pem in the data folder, which is made when it is needed.
	Key string
}

// Who is admitted.
const (
	Anyone  = "anyone"  // every runtime
	Listed  = "listed"  // those in Runtimes
	Invited = "invited" // those in Runtimes, and those that have a token of the node's operator
)

func (a Admit) check() error {
	var errs []error
	for _, p := range []struct{ name, mode string }{{"members", a.Members}, {"visitors", a.Visitors}} {
		if !slices.Contains([]string{"", Anyone, Listed, Invited}, p.mode) {
			errs = append(errs, fmt.Errorf("admit: %s: %q: want anyone, listed or invited", p.name, p.mode))
		}
	}
	for _, u := range a.Runtimes {
		if p, err := message.ParseURL(string(u)); err != nil || p.Runtime() != p || p == "" {
			errs = append(errs, fmt.Errorf("admit: runtimes: %q: want hyperty-runtime://<domain>/<id>", string(u)))
		} else if !proof.KeyDerived(p) {
			errs = append(errs, fmt.Errorf("admit: runtimes: %s is not derived from a key: nobody can prove to be it", p))
		}
	}
	return errors.Join(errs...)
}

// invites tells whether tokens count.
func (a Admit) invites() bool { return a.Members == Invited || a.Visitors == Invited }

// closed tells whether not everybody is admitted as mode says.
func closed(mode string) bool { return mode == Listed || mode == Invited }

// admission decides who may use the node.
type admission struct {
	Admit
	domain   string
	key      keyFile
	redeemed *table.Table[redemption] // nil where tokens do not count
}

func openAdmission(o Options) (admission, error) {
	a := admission{Admit: o.Admit, domain: strings.ToLower(o.Domain), key: o.admissionKey()}
	if a.invites() {
		if _, err := a.key.public(); err != nil {
			return a, fmt.Errorf("message node: admit: %w", err)
		}
	}
	return a, nil
}

// guest is what an admitted runtime may do. The zero value may do everything that a runtime may.
type guest struct {
	only string // it reaches addresses of this domain alone, and is given none
}

// mayAsk tells whether a guest may ask a function of the node for something.
func (g guest) mayAsk(element, path string, kind message.Type) *refusal {
	if g.only == "" || kind == message.Read || path == "/sm" && element != "registry" {
		return nil
	}
	return refuse(message.CodeForbidden, "visitors are given no addresses and register nothing at this node: it serves the runtimes that %s admits", g.only)
}

// mayReach tells whether a guest's messages for an address are passed on.
func (g guest) mayReach(to message.URL) bool {
	return g.only == "" || strings.EqualFold(to.NodeDomain(), g.only)
}

// admit decides whether a runtime, which has proved its key, may use the node. token may be empty.
func (n *Node) admit(ctx context.Context, runtime message.URL, token string) (guest, *refusal) {
	a := &n.admission
	who, mode := "members", a.Members
	if !strings.EqualFold(runtime.NodeDomain(), a.domain) {
		who, mode = "visitors", a.Visitors
	}
	switch {
	case slices.Contains(a.Revoked, string(runtime)):
		return guest{}, a.refuse(who, revoked, "%s is revoked; ask the operator of %s", runtime, a.domain)
	case slices.Contains(a.Runtimes, runtime):
		return guest{}, nil
	case !closed(mode) && who == "visitors" && closed(a.Members):
		if token != "" && a.invites() && n.redeem(ctx, who, runtime, token) == nil {
			return guest{}, nil // a token makes it more than a visitor
		}
		return guest{only: a.domain}, nil
	case !closed(mode):
		return guest{}, nil
	case mode == Listed:
		return guest{}, a.refuse(who, Listed, "only runtimes that the operator of %s has listed are admitted; ask there to add %s to admit.runtimes", a.domain, runtime)
	case token == "":
		return guest{}, a.refuse(who, Invited, "only invited runtimes are admitted, and %s has shown no token; ask the operator of %s for one (protofly-node admit), and set it as stubs.msgnode-ws.token", runtime, a.domain)
	}
	return guest{}, n.redeem(ctx, who, runtime, token)
}

// admitLegacy decides it for a runtime of the reference's dialects, which has proved nothing: a list says nothing of it.
func (n *Node) admitLegacy(ctx context.Context, runtime message.URL, token string) (guest, *refusal) {
	a := &n.admission
	who, mode := "members", a.Members
	if !strings.EqualFold(runtime.NodeDomain(), a.domain) {
		who, mode = "visitors", a.Visitors
	}
	if mode == Listed {
		return guest{}, a.refuse(who, Listed, "a runtime that proves no key cannot be on a list; it needs the dialect protofly.v1")
	}
	return n.admit(ctx, runtime, token)
}

// revoked is the rule of [Admit.Revoked].
const revoked = "revoked"

// refuse is the refusal that says which rule refused, by the key of the node's configuration that has it.
func (a *admission) refuse(who, rule, format string, args ...any) *refusal {
	key := "admit." + who + ": " + rule
	if rule == revoked {
		key = "admit.revoked"
	}
	return refuse(message.CodeForbidden, "not admitted ("+key+"): "+format, args...)
}

// redemption is which runtimes a token has been used by, where it is for a number of them.
type redemption struct {
	Runtimes []message.URL `json:"runtimes"`
	Expires  time.Time     `json:"expires,omitzero"`
}

func (*redemption) terms() []string { return nil }

// redeem checks a token, and uses it up where it is for a number of runtimes.
func (n *Node) redeem(ctx context.Context, who string, runtime message.URL, text string) *refusal {
	a := &n.admission
	key, err := a.key.public()
	if err != nil {
		n.log.Error("the key of admission cannot be read", "error", err)
		return refuse(message.CodeError, "the node cannot check tokens now; its operator's log says why")
	}
	t, err := parseToken(text, a.domain, key, time.Now())
	switch {
	case err != nil:
		return a.refuse(who, Invited, "the token: %v; ask the operator of %s for another one", err, a.domain)
	case slices.Contains(a.Revoked, t.ID):
		return a.refuse(who, revoked, "the token %s is revoked; ask the operator of %s for another one", t.ID, a.domain)
	case t.Runtime != "" && t.Runtime != runtime:
		return a.refuse(who, Invited, "the token is for %s, not for %s", t.Runtime, runtime)
	case t.Runtime != "" || t.Uses == 0:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.opts.Times.State)
	defer cancel()
	err = n.redeemed().Change(ctx, backbone.Hash(t.ID), func(old *redemption) (*redemption, error) {
		used := &redemption{Expires: t.Expires}
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
		return a.refuse(who, Invited, "the token has been used by %d runtimes, as many as it is for; ask the operator of %s for another one", t.Uses, a.domain)
	}
	return n.stateRefusal(err)
}

var errUsedUp = errors.New("used up")

func (n *Node) redeemed() *table.Table[redemption] { return n.admission.redeemed }

// expireRedemptions forgets who used tokens that have expired: they admit nobody any more.
func (n *Node) expireRedemptions() {
	t := n.redeemed()
	if t == nil {
		return
	}
	now := time.Now()
	t.Each(func(key string, r *redemption) {
		if n.ctx.Err() != nil || r.Expires.IsZero() || now.Sub(r.Expires) < time.Hour {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.Times.State)
		defer cancel()
		if err := t.Change(ctx, key, func(*redemption) (*redemption, error) { return nil, nil }); err != nil {
			n.log.Warn("expiry", "token", key, "error", err)
		}
	})
}
