package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// told is a Bus that notes the answers.
type told []string

func (b *told) Undelivered(_ context.Context, m message.Message, err error, r minibus.Receipt) {
	r.Taken()
	*b = append(*b, fmt.Sprint(m.ID, " here: ", err))
}

func (b *told) Answer(_ context.Context, remote message.URL, m message.Message, err error) {
	*b = append(*b, fmt.Sprint(m.ID, " at ", remote, ": ", err))
}

// later keeps goroutines until they are run.
type later []func(context.Context)

func (l *later) add(f func(context.Context)) { *l = append(*l, f) }

func (l *later) run(ctx context.Context) {
	for _, f := range *l {
		f(ctx)
	}
	*l = nil
}

// Senders are told by the bus, in order, with one goroutine for each runtime while there is something to tell.
func TestRefusals(t *testing.T) {
	var b told
	var l later
	r := NewRefusals(RefusalOptions{Bus: &b, Go: l.add})
	m := func(n uint64) message.Message {
		return message.Message{ID: message.NumberID(n), To: "hyperty://a.example/bob"}
	}
	for round := range 2 {
		b = nil
		r.Own(m(1), fmt.Errorf("one"))
		r.Add("remote", m(2), fmt.Errorf("two"))
		r.Own(m(3), fmt.Errorf("three"))
		if len(l) != 2 {
			t.Fatalf("round %d: %d goroutines", round, len(l))
		}
		l.run(t.Context())
		if want := "[1 here: one 3 here: three 2 at remote: two]"; fmt.Sprint(b) != want {
			t.Errorf("round %d: told %v, want %s", round, b, want)
		}
	}
	r.Own(m(4), nil)
	ended, end := context.WithCancel(t.Context())
	end()
	if l.run(ended); len(b) != 3 {
		t.Errorf("told after the end: %v", b)
	}
}

// The answers to all remote runtimes together are bounded too, and this runtime's own senders are told in any case.
func TestRefusalsThatWait(t *testing.T) {
	var b told
	var l later
	r := NewRefusals(RefusalOptions{Bus: &b, Go: l.add})
	for n := range maxAllRefusals/maxRefusals + 8 {
		for range maxRefusals + 1 {
			r.Add(message.URL(fmt.Sprintf("hyperty-runtime://example.com/%d", n)), message.Message{}, nil)
		}
	}
	r.Own(message.Message{ID: message.NumberID(7)}, nil)
	l.run(t.Context())
	own := slices.IndexFunc(b, func(s string) bool { return strings.HasPrefix(s, "7 here") })
	if len(b) != maxAllRefusals+1 || own < 0 {
		t.Errorf("%d were told, want %d; of the own one %v", len(b), maxAllRefusals+1, own >= 0)
	}
	b = nil
	for range maxRefusals {
		r.Add("remote", message.Message{}, nil)
	}
	if l.run(t.Context()); len(b) != maxRefusals {
		t.Errorf("%d were told when there was room again, want %d", len(b), maxRefusals)
	}
}

// The senders of messages that a session has given up are told what is known of them.
func TestGivenUp(t *testing.T) {
	for _, c := range []struct {
		doubt bool
		want  string
	}{{false, "not delivered to remote: why"}, {true, "in doubt whether it was delivered to remote: why"}} {
		var b told
		var l later
		r := NewRefusals(RefusalOptions{Bus: &b, Go: l.add})
		e := session.Event{Remote: "remote", Why: "why", MayHaveArrived: c.doubt}
		if r.GivenUp(e); len(l) > 0 {
			t.Error("a goroutine for nothing")
		}
		e.Messages = []message.Message{{ID: message.NumberID(7), To: "hyperty://b.example/bob"}}
		r.GivenUp(e)
		l.run(t.Context())
		want := fmt.Sprint("7 here: ", &message.ResponseError{Code: message.CodeUnavailable, From: "hyperty://b.example/bob", Description: c.want})
		if len(b) != 1 || b[0] != want {
			t.Errorf("told %q, want %q", b, want)
		}
	}
}
