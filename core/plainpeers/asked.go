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

// asked has the headers of the last messages that went out without a session and may be answered. The zero value works.
//
// Runtimes without sessions run the reference implementation, which reads numbers of JSON as floating-point ones. An ID that
// would not come back exactly is replaced on the way, and the answer gets the original one back.
type asked struct {
	mu    sync.Mutex
	by    map[question]asking // maxAsked; the oldest is forgotten
	order []question          // a ring, oldest at next
	next  int
}

type question struct {
	from message.URL // canonical
	id   message.ID
}

type asking struct {
	stub, to, remote message.URL // the node's stub, the address that was asked, and its runtime
	id               message.ID  // the original ID
	until            time.Time
}

const (
	maxAsked  = 1 << 14
	askedTime = 5 * time.Minute // then no caller waits for an answer any more
)

// exact tells whether an ID survives programs that read the numbers of JSON as floating-point ones, as JavaScript does: a
// text does, and a number of at most 53 bits.
func exact(id message.ID) bool {
	n, err := strconv.ParseUint(id.String(), 10, 64)
	return err != nil || n <= 1<<53
}

func questionOf(who message.URL, id message.ID) question { return question{who.Canonical(), id.Key()} }

// put notes a message, and returns the ID that it has on the way.
func (a *asked) put(stub, remote message.URL, m message.Message) (id message.ID) {
	if id = m.ID; !exact(id) {
		var random [8]byte
		_, _ = rand.Read(random[:]) // it cannot fail: it would end the process
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

// answers tells whether a response that came by the stub answers a message that was sent there, from the address that was
// asked (see [minibus.Answers]), and returns the runtime of that address; m gets the original ID. A final response answers
// once.
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
		found.until = time.Time{} // its place in order stays
	}
	a.by[q] = found
	m.ID = found.id
	return found.remote, true
}
