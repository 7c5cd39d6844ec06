package identity

import (
	"fmt"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// WithoutSessions is the runtimes with which messages are exchanged without a session: runtimes of the reference implementation,
// whose addresses are derived from no key. Such a runtime proves nothing. Its own Message Node and this runtime's say which
// runtime a message is from; these nodes, and the plug-ins that reach them, can read, alter, repeat and drop messages. A runtime
// whose address is derived from a key always needs a session.
type WithoutSessions struct {
	Domains []string      // all such runtimes of these domains; the domains' Message Nodes say which ones these are
	Peers   []message.URL // these runtimes
}

// check returns what is wrong with the lists.
func (w WithoutSessions) check() (errs []error) {
	for _, d := range w.Domains {
		if err := checkDomain(d); err != nil {
			errs = append(errs, fmt.Errorf("without_sessions.domains: %w", err))
		}
	}
	for _, u := range w.Peers {
		switch {
		case u.Check() != nil || u.Runtime() != u.Canonical():
			errs = append(errs, fmt.Errorf("without_sessions.peers: %q is no runtime's address: want runtime://<domain>/<id>", u))
		case proof.KeyDerived(u):
			errs = append(errs, fmt.Errorf("without_sessions.peers: %q is derived from a key: with that runtime there is always a session", u))
		}
	}
	return errs
}

// without is a WithoutSessions by canonical address.
type without struct {
	domains, peers map[string]bool
	homes          map[string]bool // the domains of all runtimes that are allowed
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
