package load

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The receiver counts messages that come in order. After any other message it reports a fault, and begins anew.
func TestTally(t *testing.T) {
	data := func(numbers ...uint64) (list [][]byte) {
		for _, n := range numbers {
			list = append(list, Text(Data, n, 100))
		}
		return list
	}
	for _, c := range []struct {
		name string
		came [][]byte
		sent uint64
		kind byte
		says uint64
	}{
		{"nothing", nil, 0, Count, 0},
		{"everything", data(0, 1, 2), 3, Count, 3},
		{"two cycles", data(0, 1, 2, 0, 1), 5, Count, 5},
		{"one is lost", data(0, 2), 3, Broken, 2},
		{"the last is lost", data(0, 1), 3, Broken, 2},
		{"the first is lost", data(1, 2), 3, Broken, 2},
		{"one came twice", data(0, 1, 1, 2), 3, Broken, 4},
		{"one is lost and one came twice", data(0, 1, 1, 3), 4, Broken, 4},
		{"two changed places", data(0, 2, 1, 3), 4, Broken, 4},
		{"the last came after the first of the next cycle", data(0, 1, 0, 2, 1), 5, Broken, 5},
		{"something else", append(data(0, 1), []byte("something else")), 2, Broken, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			reply := NewReply()
			for _, b := range c.came {
				if r := reply(b); r != nil {
					t.Fatalf("answered %q", r)
				}
			}
			if kind, number, err := Parse(reply(Text(End, c.sent, MinSize))); kind != c.kind || number != c.says || err != nil {
				t.Errorf("%c %d %v", kind, number, err)
			}
			if kind, number, err := Parse(reply(Text(End, 0, MinSize))); kind != Count || number != 0 || err != nil {
				t.Errorf("the next time: %c %d %v", kind, number, err)
			}
		})
	}
	if kind, number, err := Parse(NewReply()(Text(Ping, 5, 333))); kind != Echo || number != 5 || err != nil {
		t.Errorf("a ping: %c %d %v", kind, number, err)
	}
}

func TestStream(t *testing.T) {
	a, b := connection()
	d := between(t, a, b)
	for _, size := range []int{100, 1 << 10, 256 << 10} {
		r, err := d.Stream(t.Context(), size, 20*time.Millisecond)
		if err != nil || r.Messages == 0 || r.Seconds < 0.02 {
			t.Errorf("%d bytes: %+v, %v", size, r, err)
		}
	}
}

// A lost, doubled or misplaced message is an error, and the next stream works again.
func TestStreamIsChecked(t *testing.T) {
	a, b := connection()
	d := between(t, a, b)
	var kept [][]byte
	for name, alter := range map[string]func(b []byte) [][]byte{
		"lost":    func(b []byte) [][]byte { return nil },
		"doubled": func(b []byte) [][]byte { return [][]byte{b, b} },
		"late": func(b []byte) [][]byte {
			kept = append(kept, b)
			return nil
		},
	} {
		n := 0
		a.alter = func(b []byte) [][]byte {
			if n++; n == 10 {
				return alter(b)
			}
			late := kept
			kept = nil
			return append([][]byte{b}, late...)
		}
		if r, err := d.Stream(t.Context(), 1<<10, time.Millisecond); err == nil || !strings.Contains(err.Error(), "came as they were sent") {
			t.Errorf("one was %s: %+v, %v", name, r, err)
		}
		a.alter = nil
		if _, err := d.Stream(t.Context(), 1<<10, time.Millisecond); err != nil {
			t.Errorf("after one was %s: %v", name, err)
		}
	}
}

// Round trips take as long as both ways do.
func TestTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connection()
		a.delay, b.delay = time.Millisecond, 2*time.Millisecond
		d := between(t, a, b)
		r, err := d.Trips(t.Context(), 100, 30*time.Millisecond)
		if err != nil || r.Messages != 10 || r.P50 != 3000 || r.P99 != 3000 || r.Seconds != 0.03 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// asking is a connection that is a Requester.
type asking struct {
	*memory
	asked int
}

func (a *asking) Request(context.Context, []byte) error {
	if a.asked++; a.asked > 3 {
		return errRefused
	}
	time.Sleep(time.Millisecond) // the time that the answer takes
	return nil
}

func TestTripsThatAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b := connection()
		a := &asking{memory: m}
		d := between(t, a, b)
		if r, err := d.Trips(t.Context(), 100, 3*time.Millisecond); err != nil || r.Messages != 3 || r.P50 != 1000 {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err := d.Trips(t.Context(), 100, 3*time.Millisecond); !errors.Is(err, errRefused) {
			t.Errorf("refused: %+v, %v", r, err)
		}
	})
}

// Paced messages leave when they are due. If one is held up, the next ones also count from when they were due.
func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connection()
		a.delay = time.Microsecond
		n := 0
		a.alter = func(b []byte) [][]byte {
			if n++; n == 51 { // of 100, 10 ms each
				time.Sleep(200 * time.Millisecond) // the sender is held up
			}
			return [][]byte{b}
		}
		d := between(t, a, b)
		r, err := d.Paced(t.Context(), 100, 100, time.Second)
		if err != nil || r.Messages != 100 || r.P50 != 1 || r.P99 < 200_000 {
			t.Errorf("%+v, %v", r, err)
		}
		// Ordinary round trips work again.
		if r, err := d.Trips(t.Context(), 100, time.Millisecond); err != nil || r.Messages == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// A driver that gets no answer returns an error after a while, or when the context ends.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connection()
		a.alter = func([]byte) [][]byte { return nil }
		d := between(t, a, b)
		for name, work := range map[string]func(ctx context.Context) error{
			"trips": func(ctx context.Context) error { _, err := d.Trips(ctx, 100, time.Second); return err },
			"paced": func(ctx context.Context) error { _, err := d.Paced(ctx, 100, 10, time.Second); return err },
			"end":   func(ctx context.Context) error { _, err := d.await(ctx, Count, 0); return err },
		} {
			began := time.Now()
			if err := work(t.Context()); err == nil || time.Since(began) < patience || time.Since(began) > patience+2*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := work(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
		}
	})
}
