package peers

import (
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

const (
	alice message.URL = "hyperty://example.com/alice"
	bob   message.URL = "hyperty://example.com/bob"
)

// asking is the n-th message that alice sends.
func asking(n uint64) *message.Message {
	return &message.Message{ID: message.NumberID(n), Type: message.Read, From: alice, To: bob, Body: []byte(`{"kept":false}`)}
}

// The last messages can be taken by their numbers, without their bodies; older ones, and ones to come, cannot. What is kept is
// what is said to be kept.
func TestQuestionsAreTaken(t *testing.T) {
	var q Questions
	if _, ok := q.Take(0); ok {
		t.Error("there is one where nothing was sent")
	}
	const all = 3 * maxAsked
	kept := 0
	for i := range uint64(all) {
		m := asking(i)
		if i%2 == 1 {
			m.To += "/longer"
		}
		number, grown := q.Put(m)
		if kept += grown; number != i || kept < 0 {
			t.Fatalf("message %d has the number %d, %d bytes are kept", i, number, kept)
		}
	}
	if want := maxAsked / 2 * (2*(128+len(alice)+len(bob)) + len("/longer")); kept != want {
		t.Errorf("%d bytes are counted for what is kept, want %d", kept, want)
	}
	for number, want := range map[uint64]bool{0: false, all - maxAsked - 1: false, all - maxAsked: true, all - 1: true, all: false, 1 << 63: false} {
		m, ok := q.Take(number)
		if ok != want || ok && (m.ID != message.NumberID(number) || m.From != alice || m.To.Base() != bob || m.Type != message.Read || m.Body != nil) {
			t.Errorf("%d: %+v, %v", number, m, ok)
		}
	}
}

// A response counts as one to a message that it has the ID of and whose sender it is for: the first of them for each message.
func TestQuestionsAreAnsweredOnce(t *testing.T) {
	var q Questions
	answer := func(id uint64, to message.URL) *message.Message {
		return &message.Message{ID: message.NumberID(id), Type: message.Response, From: bob, To: to}
	}
	if q.Answered(answer(1, alice)) {
		t.Error("what was never asked is answered")
	}
	for _, n := range []uint64{1, 2, 2} {
		q.Put(asking(n))
	}
	for i, c := range []struct {
		id   uint64
		to   message.URL
		want bool
	}{{3, alice, false}, {1, bob, false}, {1, alice, true}, {1, alice, false}, {2, alice, true}, {2, alice, true}, {2, alice, false}} {
		if q.Answered(answer(c.id, c.to)) != c.want {
			t.Errorf("response %d, to %d for %s: %v", i, c.id, c.to, !c.want)
		}
	}
	if _, ok := q.Take(0); !ok {
		t.Error("one that was answered is not remembered")
	}
}
