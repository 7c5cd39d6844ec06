package outcomes

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// teller is an [Owner] that writes down what it is told.
type teller struct{ list []string }

func (t *teller) Owes(much bool)       { t.list = append(t.list, fmt.Sprint("owes ", much)) }
func (t *teller) SettledLate(cost int) { t.list = append(t.list, fmt.Sprint("late ", cost)) }
func (t *teller) Refuse(m message.Message, why error) {
	t.list = append(t.list, fmt.Sprint("refuse ", m.To, " ", why))
}

// The owner is told once that something is owed, and once that it is much; after the end it is told of each message.
func TestLedger(t *testing.T) {
	var owner teller
	l := NewLedger(&owner, 6400) // 100 is much
	l.Settled(1, 40, message.CodeOK)
	l.Settled(2, 40, message.CodeOK)
	l.Settled(3, 40, message.CodeOK)
	l.Settled(4, 40, message.CodeOK)
	l.Failed(5, 10, message.Message{To: "hyperty://b.example/1"}, &message.ResponseError{Code: 403})
	l.Failed(6, 10, message.Message{To: "hyperty://b.example/2"}, errors.New("gone"))
	if cost := l.Collect(); cost != 180 || l.Empty() {
		t.Errorf("collected %d; empty: %v", cost, l.Empty())
	}
	codes := map[int][]uint64{}
	for {
		record, ok := l.Report(7)
		if !ok {
			break
		}
		code, list := spansOf(t, record)
		for _, n := range list {
			codes[code] = append(codes[code], uint64(n.A))
		}
	}
	if len(codes) != 3 || !l.Empty() || len(codes[403]) != 1 || codes[403][0] != 5 {
		t.Errorf("reported %v; empty: %v", codes, l.Empty())
	}
	again, _ := wire.AppendReport(nil, 7, message.CodeOK, []wire.Span{{A: 1, B: 3}})
	if l.GiveBack([][]byte{again}, 8) || !l.Empty() || !l.GiveBack([][]byte{again}, 7) || l.Empty() {
		t.Error("what is given back is owed to that incarnation alone")
	}
	if l.Close(); !l.Empty() {
		t.Error("an incarnation that is gone is owed something")
	}
	l.Settled(9, 25, message.CodeOK)
	want := []string{"owes false", "owes true", "refuse hyperty://b.example/1 " + (&message.ResponseError{Code: 403}).Error(), "refuse hyperty://b.example/2 gone", "late 25"}
	if !slices.Equal(owner.list, want) {
		t.Errorf("the owner was told %q, want %q", owner.list, want)
	}
}

// What counts as much shrinks with the room in the inbox.
func TestRoom(t *testing.T) {
	for room, most := range map[int]uint32{6400 * 256: 100, 25600: 100, 2560: 10} {
		a := NewOwed(6400)
		a.Room(room)
		if _, much := a.Settle(1, most-1, message.CodeOK); much {
			t.Errorf("room for %d: %d is much", room, most-1)
		}
		if _, much := a.Settle(2, 1, message.CodeOK); !much {
			t.Errorf("room for %d: %d is not much", room, most)
		}
	}
}

// The next incarnation's ledger tells the same owner; what is settled in the one before counts no more for the peer.
func TestNextLedger(t *testing.T) {
	var owner teller
	before := NewLedger(&owner, 6400)
	before.Settled(1, 40, message.CodeOK)
	after := before.Next(6400)
	before.Settled(2, 30, message.CodeOK)
	after.Settled(3, 20, message.CodeOK)
	if want := []string{"owes false", "late 30", "owes false"}; !slices.Equal(owner.list, want) {
		t.Errorf("the owner was told %q, want %q", owner.list, want)
	}
	if cost := after.Collect(); cost != 20 {
		t.Errorf("%d bytes were settled in the new ledger, want 20", cost)
	}
}
