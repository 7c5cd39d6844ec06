package outcomes

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
)

// TestSpans compares spans with a list.
func TestSpans(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		a := NewOwed(1 << 20)
		codes := map[uint64]int{}
		for _, n := range r.Perm(200) {
			if r.IntN(4) == 0 {
				continue
			}
			code := []int{200, 200, 200, 404, 403}[r.IntN(5)]
			codes[uint64(n)+1] = code
			a.add(outcome{code: code}, wire.Span{A: uint64(n) + 1, B: uint64(n) + 2})
		}
		spans := 0
		for _, t1 := range a.list {
			last := uint64(0)
			for _, sp := range t1.spans {
				spans++
				if sp.A <= last || sp.B <= sp.A {
					t.Fatalf("seed %d: %v", seed, t1.spans)
				}
				last = sp.B
				for n := sp.A; n < sp.B; n++ {
					if codes[n] != t1.code {
						t.Fatalf("seed %d: %d has code %d, not %d", seed, n, codes[n], t1.code)
					}
					delete(codes, n)
				}
			}
		}
		if len(codes) > 0 || spans != a.spans {
			t.Fatalf("seed %d: %v are missing, %d spans are counted as %d", seed, codes, spans, a.spans)
		}
	}
}

// spansOf are the numbers that a report is about.
func spansOf(t *testing.T, record []byte) (code int, list []wire.Span) {
	t.Helper()
	_, code, spans, ok, err := wire.ParseReport(record)
	if !ok || err != nil {
		t.Fatal("no report")
	}
	for last := uint64(0); len(spans) > 0; {
		var sp wire.Span
		if sp, spans, err = wire.NextSpan(spans, last); err != nil {
			t.Fatal(err)
		}
		last = sp.B
		list = append(list, sp)
	}
	return code, list
}

// What was settled is reported once, what is alike together, and again where the report was not acknowledged.
func TestReports(t *testing.T) {
	a := NewOwed(64 << 10)
	if first, much := a.Settle(1, 100, 200); !first || much {
		t.Errorf("first %v, much %v", first, much)
	}
	if first, much := a.Settle(2, 1000, 200); first || !much {
		t.Errorf("first %v, much %v", first, much)
	}
	if _, much := a.Settle(3, 5000, 404); much {
		t.Error("it is said twice that it is much")
	}
	if cost := a.Collect(); cost != 6100 || a.Collect() != 0 {
		t.Errorf("counts for %d", cost)
	}
	said := map[int][]wire.Span{}
	var records [][]byte
	for {
		record, ok := a.Report(7)
		if !ok {
			break
		}
		records = append(records, slices.Clone(record))
		code, list := spansOf(t, record)
		said[code] = append(said[code], list...)
	}
	if len(records) != 2 || !slices.Equal(said[200], []wire.Span{{A: 1, B: 3}}) || !slices.Equal(said[404], []wire.Span{{A: 3, B: 4}}) || !a.Empty() {
		t.Errorf("%d reports: %v", len(records), said)
	}
	if a.GiveBack(records[0], 8) || !a.Empty() {
		t.Error("a report to another incarnation is given back")
	}
	if !a.GiveBack(records[0], 7) || a.Empty() {
		t.Error("a report is not given back")
	}
	if again, ok := a.Report(7); !ok || !slices.Equal(again, records[0]) {
		t.Error("it is not made again")
	}
	a.Settle(9, 1, 200)
	if a.Forget(); a.spans != 0 {
		t.Error("something is owed to nobody")
	}
}

// Many spans go into several reports, and have a bound.
func TestManySpans(t *testing.T) {
	a := NewOwed(1)
	for n := range uint64(3 * minSpans) {
		a.Settle(2*n+1, 1, 200)
	}
	reports, spans := 0, 0
	for {
		record, ok := a.Report(7)
		if !ok {
			break
		}
		reports++
		_, list := spansOf(t, record)
		spans += len(list)
	}
	if reports < 2 || spans > minSpans+1 || spans < minSpans-1 {
		t.Errorf("%d spans in %d reports", spans, reports)
	}
}

// The peer is told in a moment, at once where there is a reason, and not while it does not acknowledge what it is told.
func TestWhenToTell(t *testing.T) {
	o := New(Options{TTL: 30 * time.Second, Delay: 20 * time.Millisecond, Forgiven: 5 * time.Second})
	if due := o.Owe(time.Second); due != time.Second+20*time.Millisecond || o.Owe(2*time.Second) != 0 {
		t.Errorf("due at %v, or put off", due)
	}
	if o.Tells(time.Second) || !o.Tells(time.Second+20*time.Millisecond) || !o.Owes() {
		t.Error("too soon, or never")
	}
	o.Told()
	if o.HurryOwed(); o.Owes() {
		t.Error("owes nothing, and hurries")
	}
	if o.Hurry(); !o.Tells(1) {
		t.Error("hurries, and waits")
	}
	o.Hold()
	if o.MayTell() || !o.Heard(3*time.Second) || !o.MayTell() || o.Heard(4*time.Second) {
		t.Error("a peer that was heard of is not told, or one that was not is")
	}
}

// A silent peer that has not said what it has taken is asked, and given up long after it was asked first.
func TestSilence(t *testing.T) {
	run := func(o *Outcomes, from, to time.Duration, untaken bool) (asked int, gaveUp time.Duration) {
		for now := from; now < to; now += time.Second {
			switch o.Tick(untaken, now) {
			case Ask:
				asked++
			case GiveUp:
				return asked, now
			}
		}
		return asked, 0
	}
	options := Options{TTL: 30 * time.Second, Delay: 20 * time.Millisecond, Forgiven: 5 * time.Second}
	o := New(options)
	o.Heard(time.Second)
	if asked, _ := run(&o, time.Second, time.Hour, false); asked != 0 {
		t.Error("asks a peer that owes nothing")
	}
	o.Heard(time.Hour)
	asked, gaveUp := run(&o, time.Hour, 2*time.Hour, true)
	if want := time.Hour + askPause + Silence(options.TTL); gaveUp != want || asked < 15 || asked > 25 {
		t.Errorf("given up at %v, want %v; asked %d times", gaveUp, want, asked)
	}
	alive := New(options)
	for now := time.Duration(1); now < time.Hour; now += 10 * time.Second {
		alive.Heard(now)
		if asked, gaveUp := run(&alive, now, now+10*time.Second, true); asked != 0 || gaveUp != 0 {
			t.Fatalf("a peer that speaks is asked at %v", now)
		}
	}
	forever := New(Options{Delay: 1, Forgiven: 1})
	if _, gaveUp := run(&forever, 1, 10*time.Hour, true); gaveUp != 0 {
		t.Error("given up although messages live for ever")
	}
}
