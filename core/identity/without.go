package identity

import (
	"fmt"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// WithoutSessions is which runtimes this one speaks with without a session: those of the reference implementation, whose
// addresses are derived from no key. Such a runtime proves nothing. Who it is, its own Message Node and this runtime's
// say, and they and the plug-ins that reach them can read, alter, repeat and drop what is said. A runtime whose address
// is derived from a key is never spoken with in this way.
type WithoutSessions struct {
	Domains []string      // all such runtimes of these domains: their Message Nodes alone say who is of them
	Peers   []message.URL // these
}

// check says what is wrong with the lists.
func (w WithoutSessions) check() (errs []error) {
	for _, d := range w.Domains {
		if err := checkDomain(d); err != nil {
			errs = append(errs, fmt.Errorf("without_sessions.domains: %w", err))
		}
	}
	for _, u := range w.Peers {
		switch p, err := message.ParseURL(string(u)); {
		case err != nil || p.Runtime() != p.Canonical():
			errs = append(errs, fmt.Errorf("without_sessions.peers: %q is no runtime's address: want runtime://<domain>/<id>", u))
		case proof.KeyDerived(p):
			errs = append(errs, fmt.Errorf("without_sessions.peers: %q is derived from a key: with that runtime there is always a session", u))
		}
	}
	return errs
}

// without is a WithoutSessions to look things up in.
type without struct {
	domains, peers map[string]bool
	homes          map[string]bool // the domains that anybody allowed is of
}

func (w WithoutSessions) lists() without {
	l := without{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, d := range w.Domains {
		l.domains[d], l.homes[d] = true, true
	}
	for _, p := range w.Peers {
		l.peers[string(p.Canonical())], l.homes[p.Domain()] = true, true
	}
	return l
}
