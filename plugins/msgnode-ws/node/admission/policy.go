package admission

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Policy decides, by [Rules], who may use the nodes of a domain. It keeps no state: if a token is for a number of runtimes, its
// verdict names the token whose use has to be counted.
type Policy struct {
	rules  Rules
	domain string
	key    KeyFile
}

// New makes the policy of a domain's node. The error says that the key cannot be read, if tokens count.
func New(domain string, r Rules, key KeyFile) (*Policy, error) {
	p := &Policy{rules: r, domain: strings.ToLower(domain), key: key}
	if r.Invites() {
		if _, err := p.key.Public(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Verdict is what is decided about a runtime that is admitted.
type Verdict struct {
	Guest Guest
	// Counted is the token by which the runtime is admitted, if that is for a number of runtimes: it may be used up. nil: no
	// use has to be counted.
	Counted *Token
	// Visitor says that the runtime is admitted as a visitor if Counted is used up.
	Visitor bool
	// Problem is why a visitor's token was not checked: the key cannot be read. It is for the operator.
	Problem error
}

// Refused is why a runtime is not admitted. Its text names the rule, by the key of the node's configuration that has it.
type Refused struct{ text string }

func (e *Refused) Error() string { return e.text }

// Admit decides whether a runtime, which has proved its key, may use the node. token may be empty. The error is a [*Refused],
// or says that the key for checking tokens cannot be read.
func (p *Policy) Admit(runtime message.URL, token string, now time.Time) (Verdict, error) {
	who, mode := p.mode(runtime)
	r := &p.rules
	switch {
	case slices.Contains(r.Revoked, string(runtime)):
		return Verdict{}, p.refuse(who, revoked, "%s is revoked; ask the operator of %s", runtime, p.domain)
	case slices.Contains(r.Runtimes, runtime):
		return Verdict{}, nil
	case !closed(mode) && who == visitors && closed(r.Members):
		if token != "" && r.Invites() { // a token makes it more than a visitor
			v, err := p.redeem(who, runtime, token, now)
			if err == nil {
				v.Visitor = true
				return v, nil
			}
			if !errors.As(err, new(*Refused)) {
				return Verdict{Guest: p.Visitor(), Problem: err}, nil
			}
		}
		return Verdict{Guest: p.Visitor()}, nil
	case !closed(mode):
		return Verdict{}, nil
	case mode == Listed:
		return Verdict{}, p.refuse(who, Listed, "only runtimes that the operator of %s has listed are admitted; ask there to add %s to admit.runtimes", p.domain, runtime)
	case token == "":
		return Verdict{}, p.refuse(who, Invited, "only invited runtimes are admitted, and %s has shown no token; ask the operator of %s for one (protofly-node admit), and set it as stubs.msgnode-ws.token", runtime, p.domain)
	}
	return p.redeem(who, runtime, token, now)
}

// AdmitUnproved is Admit for a runtime of the reference's dialects, which has proved nothing: so lists do not admit it.
func (p *Policy) AdmitUnproved(runtime message.URL, token string, now time.Time) (Verdict, error) {
	if who, mode := p.mode(runtime); mode == Listed {
		return Verdict{}, p.refuse(who, Listed, "a runtime that proves no key cannot be on a list; it needs the dialect protofly.v1")
	}
	return p.Admit(runtime, token, now)
}

// Visitor is the guest that a visitor is, while not every member is admitted.
func (p *Policy) Visitor() Guest { return Guest{only: p.domain} }

// UsedUp is the refusal of a runtime whose token has been used by as many runtimes as it is for.
func (p *Policy) UsedUp(runtime message.URL, t *Token) *Refused {
	who, _ := p.mode(runtime)
	return p.refuse(who, Invited, "the token has been used by %d runtimes, as many as it is for; ask the operator of %s for another one", t.Uses, p.domain)
}

// What a runtime is to a domain.
const members, visitors = "members", "visitors"

// mode returns what a runtime is to the domain, and the rule for those.
func (p *Policy) mode(runtime message.URL) (who, mode string) {
	if !strings.EqualFold(runtime.NodeDomain(), p.domain) {
		return visitors, p.rules.Visitors
	}
	return members, p.rules.Members
}

// revoked is the rule of [Rules.Revoked].
const revoked = "revoked"

// refuse is the refusal that says which rule refused, by the key of the node's configuration that has it.
func (p *Policy) refuse(who, rule, format string, args ...any) *Refused {
	key := "admit." + who + ": " + rule
	if rule == revoked {
		key = "admit.revoked"
	}
	return &Refused{fmt.Sprintf("not admitted ("+key+"): "+format, args...)}
}

// redeem checks a token.
func (p *Policy) redeem(who string, runtime message.URL, text string, now time.Time) (Verdict, error) {
	key, err := p.key.Public()
	if err != nil {
		return Verdict{}, err
	}
	t, err := parseToken(text, p.domain, key, now)
	switch {
	case err != nil:
		return Verdict{}, p.refuse(who, Invited, "the token: %v; ask the operator of %s for another one", err, p.domain)
	case slices.Contains(p.rules.Revoked, t.ID):
		return Verdict{}, p.refuse(who, revoked, "the token %s is revoked; ask the operator of %s for another one", t.ID, p.domain)
	case t.Runtime != "" && t.Runtime != runtime:
		return Verdict{}, p.refuse(who, Invited, "the token is for %s, not for %s", t.Runtime, runtime)
	case t.Runtime != "" || t.Uses == 0:
		return Verdict{}, nil
	}
	return Verdict{Counted: &t}, nil
}
