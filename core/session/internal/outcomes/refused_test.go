package outcomes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// refusals reads the reports that a ledger owes: which numbers were refused with which reason, and which were settled otherwise.
func refusals(t *testing.T, l *Ledger) (refused map[string][]uint64, others int, records [][]byte) {
	t.Helper()
	refused = map[string][]uint64{}
	for {
		record, ok := l.Report(7)
		if !ok {
			return refused, others, records
		}
		records = append(records, append([]byte(nil), record...))
		to, code, why, spans, ok, err := wire.ParseRefusal(record)
		if !ok {
			others++
			continue
		}
		if err != nil || to != 7 {
			t.Fatalf("to %d: %v", to, err)
		}
		for last := uint64(0); len(spans) > 0; {
			var sp wire.Span
			if sp, spans, err = wire.NextSpan(spans, last); err != nil {
				t.Fatal(err)
			}
			for n := sp.A; n < sp.B; n++ {
				key := fmt.Sprint(code, " ", why)
				refused[key] = append(refused[key], n)
			}
			last = sp.B
		}
	}
}

// What is refused is told with its reason, and nobody here answers it; so it is again where the report was lost.
func TestRefusalsAreTold(t *testing.T) {
	var owner teller
	l := NewLedger(&owner, 1<<20)
	l.Tells(true)
	gone := &message.ResponseError{Code: 404, Description: "it has gone"}
	l.Settled(1, 40, message.CodeOK)
	l.Failed(2, 40, message.Message{}, gone)
	l.Failed(3, 40, message.Message{}, gone)
	if !l.Refuse(5, 40, message.Message{}, &message.ResponseError{Code: 403, Description: strings.Repeat("é", wire.MaxWhy)}) {
		t.Error("refused to refuse")
	}
	got, others, records := refusals(t, l)
	want := "403 " + strings.Repeat("é", wire.MaxWhy/2)
	if fmt.Sprint(got["404 it has gone"], got[want], len(got), others) != "[2 3] [5] 2 1" {
		t.Errorf("%v, %d others", got, others)
	}
	if !l.GiveBack(records, 7) {
		t.Error("nothing was given back")
	}
	if again, others, _ := refusals(t, l); fmt.Sprint(again) != fmt.Sprint(got) || others != 1 {
		t.Errorf("told again: %v, %d others", again, others)
	}
	for _, told := range owner.list {
		if strings.HasPrefix(told, "refuse") {
			t.Error(told)
		}
	}
}

// A peer that makes up reasons without end gets some of them: each message is told of all the same.
func TestReasonsAreBounded(t *testing.T) {
	l := NewLedger(&teller{}, 1<<24)
	l.Tells(true)
	const count = 10000
	for n := range uint64(count) {
		l.Failed(2*n+1, 1, message.Message{}, &message.ResponseError{Code: 404, Description: fmt.Sprint("nobody listens to ", n)})
	}
	if len(l.owed.list) > maxTold+1 {
		t.Errorf("%d reasons are kept", len(l.owed.list))
	}
	got, _, _ := refusals(t, l)
	sum := 0
	for _, numbers := range got {
		sum += len(numbers)
	}
	if sum != count || len(got) > maxTold+1 {
		t.Errorf("%d of %d are told, for %d reasons", sum, count, len(got))
	}
}

// Where the incarnation has gone, or cannot tell its senders, they are answered.
func TestRefusalsThatAreAnswered(t *testing.T) {
	for name, end := range map[string]func(*Ledger){"cannot": func(*Ledger) {}, "gone": func(l *Ledger) { l.Tells(true); l.Close() }} {
		t.Run(name, func(t *testing.T) {
			var owner teller
			l := NewLedger(&owner, 1<<20)
			end(l)
			if l.Failed(1, 40, message.Message{To: "x"}, &message.ResponseError{Code: 404}); !strings.HasPrefix(owner.list[len(owner.list)-1], "refuse") {
				t.Errorf("%q", owner.list)
			}
		})
	}
}
