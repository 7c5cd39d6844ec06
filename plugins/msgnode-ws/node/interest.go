package node

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/sdk/message"
)

var hashEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// hash is a text as a NATS subject token or key: raw addresses never become subjects.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hashEncoding.EncodeToString(sum[:16])
}

// subjects makes the NATS subjects of one domain.
type subjects struct{ prefix string }

func newSubjects(domain string) subjects { return subjects{"pf." + hash(domain)[:10]} }

// address carries messages for exactly this address, or of a runtime's address for the runtime.
func (s subjects) address(u message.URL) string {
	return s.prefix + ".a." + hash(string(u.Canonical()))
}

// frames carries Data frames for a runtime.
func (s subjects) frames(runtime message.URL) string { return s.prefix + ".f." + hash(string(runtime)) }

// isFrames tells whether a subject is one of frames.
func (s subjects) isFrames(subject string) bool {
	kind, found := strings.CutPrefix(subject, s.prefix)
	return found && strings.HasPrefix(kind, ".f.")
}

// presence carries what the nodes of a domain say to each other about a runtime's connections.
func (s subjects) presence(runtime message.URL) string {
	return s.prefix + ".p." + hash(string(runtime))
}

// unanswered carries NATS's "nobody is there" to the node that published.
func (s subjects) unanswered(node string) string { return s.prefix + ".n." + node }

// inboxes is the prefix of the subjects at which the node's requests are answered.
func (s subjects) inboxes() string { return s.prefix + ".i" }

// interests are the subjects that connections of this node want. Each has one NATS subscription, however many
// connections want it. All subscriptions share one channel, so that what one sender published arrives in its order
// on whatever subjects it was.
type interests struct {
	nc *nats.Conn
	in chan *nats.Msg

	mu        sync.RWMutex
	bySubject map[string]*interest
}

type interest struct {
	sub     *nats.Subscription
	members []*conn // replaced, never changed
}

// inboxSize is how many NATS messages may wait for the dispatcher, which never blocks.
const inboxSize = 16 << 10

func newInterests(nc *nats.Conn) *interests {
	return &interests{nc: nc, in: make(chan *nats.Msg, inboxSize), bySubject: map[string]*interest{}}
}

// add has c get what is published on the subject.
func (x *interests) add(subject string, c *conn) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := x.bySubject[subject]
	if i == nil {
		sub, err := x.nc.ChanSubscribe(subject, x.in)
		if err != nil {
			return err
		}
		x.bySubject[subject] = &interest{sub, []*conn{c}}
		return nil
	}
	if !slices.Contains(i.members, c) {
		i.members = append(i.members[:len(i.members):len(i.members)], c)
	}
	return nil
}

// remove ends that.
func (x *interests) remove(subject string, c *conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := x.bySubject[subject]
	if i == nil {
		return
	}
	i.members = slices.DeleteFunc(slices.Clone(i.members), func(o *conn) bool { return o == c })
	if len(i.members) == 0 {
		_ = i.sub.Unsubscribe() // fails only where the connection has closed
		delete(x.bySubject, subject)
	}
}

// of gives the connections that want the subject.
func (x *interests) of(subject string) []*conn {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if i := x.bySubject[subject]; i != nil {
		return i.members
	}
	return nil
}
