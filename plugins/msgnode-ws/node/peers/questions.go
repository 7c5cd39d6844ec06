package peers

import (
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Questions remembers the headers of the last messages of a connection, for NATS's notice that nobody wants one. The notice
// comes within a round trip, so older messages are forgotten.
type Questions struct {
	mu   sync.Mutex
	next uint64
	ring []question // grows to maxAsked
}

type question struct {
	id       message.ID
	kind     message.Type
	from, to message.URL
	answered bool
}

const maxAsked = 512

// Put remembers m. grown is how many bytes more are kept than before.
func (q *Questions) Put(m *message.Message) (number uint64, grown int) {
	one := question{id: m.ID, kind: m.Type, from: m.From, to: m.To}
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.next
	q.next++
	if len(q.ring) < maxAsked {
		q.ring = append(q.ring, one)
		return n, one.size()
	}
	grown = one.size() - q.ring[n%maxAsked].size()
	q.ring[n%maxAsked] = one
	return n, grown
}

// Answered tells whether a response is the first to one of the messages that are remembered. Whether the right address has sent
// it, the asker checks: here it only matters that there are no more answers than questions.
func (q *Questions) Answered(m *message.Message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.ring {
		if one := &q.ring[i]; one.id == m.ID && one.from == m.To && !one.answered {
			one.answered = true
			return true
		}
	}
	return false
}

// size is about what a question keeps, in bytes.
func (q *question) size() int { return 128 + len(q.from) + len(q.to) }

// Take returns the question with the number, while it is remembered.
func (q *Questions) Take(n uint64) (message.Message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n >= q.next || q.next-n > uint64(len(q.ring)) {
		return message.Message{}, false
	}
	one := &q.ring[n%maxAsked]
	return message.Message{ID: one.id, Type: one.kind, From: one.from, To: one.to}, true
}
