package backbone

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

// Hash is a text as a NATS subject token or key: raw addresses never become subjects.
func Hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hashEncoding.EncodeToString(sum[:16])
}

// Subjects makes the NATS subjects of one domain.
type Subjects struct{ prefix string }

func NewSubjects(domain string) Subjects { return Subjects{"pf." + Hash(domain)[:10]} }

// Address carries messages for exactly this address; the subject of a runtime's address carries those for the runtime.
func (s Subjects) Address(u message.URL) string {
	return s.prefix + ".a." + Hash(string(u.Canonical()))
}

// Frames carries Data frames for a runtime.
func (s Subjects) Frames(runtime message.URL) string { return s.prefix + ".f." + Hash(string(runtime)) }

// IsFrames tells whether a subject is one of frames.
func (s Subjects) IsFrames(subject string) bool {
	kind, found := strings.CutPrefix(subject, s.prefix)
	return found && strings.HasPrefix(kind, ".f.")
}

// Presence carries what the nodes of a domain say to each other about a runtime's connections.
func (s Subjects) Presence(runtime message.URL) string {
	return s.prefix + ".p." + Hash(string(runtime))
}

// All are all subjects of the domain.
func (s Subjects) All() string { return s.prefix + ".>" }

// IsPresence tells whether a subject is one of presence.
func (s Subjects) IsPresence(subject string) bool {
	kind, found := strings.CutPrefix(subject, s.prefix)
	return found && strings.HasPrefix(kind, ".p.")
}

// Unanswered carries NATS's "nobody is there" to the node that published.
func (s Subjects) Unanswered(node string) string { return s.prefix + ".n." + node }

// Inboxes is the prefix of the subjects at which the node's requests are answered.
func (s Subjects) Inboxes() string { return s.prefix + ".i" }

// Interests are the subjects that connections of this node want. Each has one NATS subscription, however many
// connections want it. All subscriptions share one channel, so that what one sender published arrives in order, on
// whatever subjects. M is the type of a connection.
type Interests[M comparable] struct {
	nc *nats.Conn
	In chan *nats.Msg

	mu        sync.RWMutex
	bySubject map[string]*interest[M]
}

type interest[M comparable] struct {
	sub     *nats.Subscription
	members []M // replaced, never changed
}

// inboxSize is how many NATS messages may wait for the dispatcher, which never blocks.
const inboxSize = 16 << 10

func NewInterests[M comparable](nc *nats.Conn) *Interests[M] {
	return &Interests[M]{nc: nc, In: make(chan *nats.Msg, inboxSize), bySubject: map[string]*interest[M]{}}
}

// Add makes c a receiver of what is published on the subject.
func (x *Interests[M]) Add(subject string, c M) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := x.bySubject[subject]
	if i == nil {
		sub, err := x.nc.ChanSubscribe(subject, x.In)
		if err != nil {
			return err
		}
		x.bySubject[subject] = &interest[M]{sub, []M{c}}
		return nil
	}
	if !slices.Contains(i.members, c) {
		i.members = append(i.members[:len(i.members):len(i.members)], c)
	}
	return nil
}

// Remove ends what Add began.
func (x *Interests[M]) Remove(subject string, c M) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := x.bySubject[subject]
	if i == nil {
		return
	}
	i.members = slices.DeleteFunc(slices.Clone(i.members), func(o M) bool { return o == c })
	if len(i.members) == 0 {
		_ = i.sub.Unsubscribe() // fails only where the connection has closed
		delete(x.bySubject, subject)
	}
}

// Of gives the connections that want the subject.
func (x *Interests[M]) Of(subject string) []M {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if i := x.bySubject[subject]; i != nil {
		return i.members
	}
	return nil
}
