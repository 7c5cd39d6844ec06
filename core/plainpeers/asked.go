package plainpeers

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// asked is what went out without a session and may be answered: of the last messages the headers. The zero value works.
//
// Runtimes without sessions are of the reference implementation, which reads numbers of JSON as floating-point ones: an ID
// that would not come back as it was is another one on the way, and the answer gets the old one back.
type asked struct {
	mu    sync.Mutex
	by    map[question]asking // maxAsked, the oldest makes room
	order []question          // a ring, oldest at next
	next  int
}

type question struct {
	from message.URL // canonical
	id   message.ID
}

type asking struct {
	stub, to, remote message.URL // by which node, who, and at which runtime
	id               message.ID  // of the message here
	until            time.Time
}

const (
	maxAsked  = 1 << 14
	askedTime = 5 * time.Minute // then nobody waits for an answer any more
)

// exact tells whether an ID survives programs that read the numbers of JSON as floating-point ones, as JavaScript does: it is a
// text, or a number of at most 53 bits.
func exact(id message.ID) bool {
	n, err := strconv.ParseUint(id.String(), 10, 64)
	return err != nil || n <= 1<<53
}

func questionOf(who message.URL, id message.ID) question { return question{who.Canonical(), id.Key()} }

// put notes a message, and returns the ID that it is to have on the way.
func (a *asked) put(stub, remote message.URL, m message.Message) (id message.ID) {
	if id = m.ID; !exact(id) {
		var random [8]byte
		_, _ = rand.Read(random[:]) // it does not fail: it ends the process
		id = message.NumberID(binary.LittleEndian.Uint64(random[:])>>11 + 1)
	}
	q := questionOf(m.From, id)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[question]asking{}
	}
	if _, again := a.by[q]; !again {
		if len(a.order) < maxAsked {
			a.order = append(a.order, q)
		} else {
			delete(a.by, a.order[a.next])
			a.order[a.next] = q
			a.next = (a.next + 1) % maxAsked
		}
	}
	a.by[q] = asking{stub, m.To, remote, m.ID, time.Now().Add(askedTime)}
	return id
}

// answers tells whether a response that came by the stub answers what was asked there, of whom it was asked (see
// [minibus.Answers]), and at which runtime that is; then m has the ID that was asked with. A final one answers once.
func (a *asked) answers(stub message.URL, m *message.Message) (remote message.URL, ok bool) {
	q := questionOf(m.To, m.ID)
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.by[q]
	if !ok || found.stub != stub || !minibus.Answers(found.to, m.From) || time.Now().After(found.until) {
		return "", false
	}
	if m.Provisional() {
		found.until = time.Now().Add(askedTime)
	} else {
		found.until = time.Time{} // its place in the order stays
	}
	a.by[q] = found
	m.ID = found.id
	return found.remote, true
}
