package handover

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settler is somebody who asks.
type settler struct{ minibus.Taker }

// asked is a message that somebody asks about.
func asked(id uint64, units int) Message {
	return Message{M: message.Message{ID: message.NumberID(id)}, Receipt: minibus.Receipt{By: settler{}}, Units: units}
}

// taken is what is settled where an application of an earlier version has taken so many units and responses.
func taken(h *Handover, units, responses int) []Message {
	return h.Credit(nil, &wire.Credit{Units: uint32(units), Responses: uint32(responses)})
}

func ids(list []Message) (s string) {
	for _, m := range list {
		s += m.M.ID.String() + " "
	}
	return s
}

func TestNoMoreThanTheCredit(t *testing.T) {
	h := New()
	for n := range uint64(wire.Window) {
		if !h.Room(false) {
			t.Fatalf("no room for message %d", n)
		}
		h.Handed(asked(n, 1), false)
	}
	if h.Room(false) || !h.Room(true) {
		t.Fatal("over the window there is room for responses only")
	}
	if got := len(taken(&h, 2, 0)); got != 2 || !h.Room(false) {
		t.Errorf("%d are settled", got)
	}
	taken(&h, 1<<30, 0) // more than there was
	for range wire.Window {
		h.Handed(asked(1, 1), false)
	}
	if h.Room(false) {
		t.Error("credit grew beyond the window")
	}
}

// A large message takes as many units of the credit, and gives them back.
func TestCreditIsCountedInUnits(t *testing.T) {
	h := New()
	h.Handed(asked(1, wire.Window-1), false)
	if !h.Room(false) {
		t.Fatal("no room for the last unit")
	}
	h.Handed(asked(2, 3), false) // the last one may be larger than what is left
	h.Handed(asked(3, wire.Window), true)
	taken(&h, 2, 0)
	if h.Room(false) {
		t.Error("there is room for more units than were taken")
	}
	taken(&h, 1, 0)
	if !h.Room(false) {
		t.Error("no room for a unit that was taken")
	}
}

// A large message is taken when all its units are; responses are counted apart, and what nobody asks about is left out.
func TestTaken(t *testing.T) {
	h := New()
	h.Handed(asked(1, 3), false)
	h.Handed(Message{Units: 1}, false)
	h.Handed(asked(2, 2), false)
	h.Handed(asked(7, 1), true)
	h.Handed(asked(8, 1), true)
	for n, c := range []struct {
		units, responses int
		want             string
	}{{2, 0, ""}, {1, 1, "1 7 "}, {2, 0, ""}, {1, 9, "2 8 "}, {5, 5, ""}} {
		if got := ids(taken(&h, c.units, c.responses)); got != c.want {
			t.Errorf("step %d: settled %q, want %q", n, got, c.want)
		}
	}
	h.Handed(Message{Units: 1}, true)
	if got := taken(&h, 0, 1); len(got) != 0 {
		t.Errorf("a response that nobody asks about is settled: %v", got)
	}
	h.Handed(asked(3, 2), false)
	if got := ids(taken(&h, 1, 0)); got != "" {
		t.Errorf("units that were too many before counted for %q", got)
	}
}

func TestEnd(t *testing.T) {
	h := New()
	for n := range uint64(3) {
		h.Handed(asked(n, 1), n == 2)
	}
	taken(&h, 1, 0)
	if got := ids(h.End()); got != "1 2 " {
		t.Errorf("left are %q", got)
	}
	if got := fmt.Sprint(len(h.End())); got != "0" {
		t.Errorf("%s are left twice", got)
	}
}

// Messages are settled by number, in any order; one that is kept for long holds up no others, and credit alone settles none.
func TestSettledByNumber(t *testing.T) {
	h := New()
	settle := func(units uint32, posts ...wire.Span) string {
		return ids(h.Credit(nil, &wire.Credit{Units: units, Posts: posts}))
	}
	for n := range uint64(5) {
		h.Handed(asked(n+1, 2), false)
	}
	for _, c := range []struct {
		posts []wire.Span
		want  string
	}{
		{[]wire.Span{{First: 2, N: 1}}, "2 "},
		{nil, ""},
		{[]wire.Span{{First: 2, N: 2}, {First: 5, N: 1 << 60}}, "3 5 "},
		{[]wire.Span{{First: 0, N: 2}, {First: 9, N: 1}}, "1 "},
	} {
		if got := settle(2, c.posts...); got != c.want {
			t.Errorf("%v: settled %q, want %q", c.posts, got, c.want)
		}
	}
	for n := uint64(6); n < 3*maxList; n++ {
		if h.Handed(asked(n, 1), false); settle(1, wire.Span{First: n, N: 1}) != fmt.Sprint(n, " ") {
			t.Fatalf("message %d is not settled", n)
		}
	}
	if n := h.taking.len() + len(h.apart); n > maxList {
		t.Errorf("%d messages are kept because of one", n)
	}
	if got := settle(1, wire.Span{First: 4, N: 1}); got != "4 " {
		t.Errorf("the one that was kept: %q", got)
	}
	h.Handed(asked(7, 1), false)
	if got := ids(h.End()); got != "7 " {
		t.Errorf("left are %q", got)
	}
}
