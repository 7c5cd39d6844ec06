package admission

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Rules say who may use the node. A runtime of the node's domain is a member, one of another domain a visitor. The zero
// value admits anyone.
//
// While not every member is admitted, a visitor that is admitted as anyone, and shows no token, reaches members, and is reached by them; it is
// given no addresses, writes nothing into the Domain Registry, and is not carried to third parties.
type Rules struct {
	Members  string // [Anyone] (the default), [Listed] or [Invited]
	Visitors string // the same
	// Runtimes are admitted by [Listed] and by [Invited]. A runtime proves with its key that it is one of them.
	Runtimes []message.URL
	// Revoked are runtimes, and IDs of tokens, that are not admitted, whatever the other rules say.
	Revoked []string
	// Key is the file of the key that tokens are signed with (PKCS #8, PEM), or of its public key if the tokens are made
	// elsewhere. Default: admission-key.pem in the data folder, which is made when it is needed.
	Key string
}

// Who is admitted.
const (
	Anyone  = "anyone"  // every runtime
	Listed  = "listed"  // those in Runtimes
	Invited = "invited" // those in Runtimes, and those that have a token of the node's operator
)

// Check tells whether the rules can be followed. The error names everything that is wrong.
func (a Rules) Check() error {
	var errs []error
	for _, p := range []struct{ name, mode string }{{"members", a.Members}, {"visitors", a.Visitors}} {
		if !slices.Contains([]string{"", Anyone, Listed, Invited}, p.mode) {
			errs = append(errs, fmt.Errorf("admit: %s: %q: want anyone, listed or invited", p.name, p.mode))
		}
	}
	for _, u := range a.Runtimes {
		if u.Check() != nil || u.Runtime() != u {
			errs = append(errs, fmt.Errorf("admit: runtimes: %q: want hyperty-runtime://<domain>/<id>, with the domain in lower case", string(u)))
		} else if !proof.KeyDerived(u) {
			errs = append(errs, fmt.Errorf("admit: runtimes: %s is not derived from a key: nobody can prove to be it", u))
		}
	}
	return errors.Join(errs...)
}

// Invites tells whether tokens admit anybody.
func (a Rules) Invites() bool { return a.Members == Invited || a.Visitors == Invited }

// closed tells whether not everybody is admitted as mode says.
func closed(mode string) bool { return mode == Listed || mode == Invited }

// Guest is what an admitted runtime may do. The zero value may do everything that a runtime may.
type Guest struct {
	only string // it reaches addresses of this domain alone, and is given none
}

// MayAsk tells whether a guest may ask a function of the node for something; the error is for the guest.
func (g Guest) MayAsk(element, path string, kind message.Type) error {
	if g.only == "" || kind == message.Read || path == "/sm" && element != "registry" {
		return nil
	}
	return fmt.Errorf("visitors are given no addresses and register nothing at this node: it serves the runtimes that %s admits", g.only)
}

// MayReach tells whether a guest's messages for an address are passed on.
func (g Guest) MayReach(to message.URL) bool {
	return g.only == "" || strings.EqualFold(to.NodeDomain(), g.only)
}
