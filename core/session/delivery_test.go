package session

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// arrivals is a runtime that a test gives frames of bob's.
type arrivals struct {
	all  *Sessions
	peer *handshake.Keys
	next uint64 // number of the next message
}

func newArrivals(o Options) *arrivals {
	o.Self, o.Key, o.Incarnation = alice, aliceSelf.key, 1
	o.Send = func(context.Context, Path, message.URL, ...[]byte) error { return nil }
	a := &arrivals{all: New(o), next: 1}
	a.peer = a.all.lookup(bob).marry(2)
	return a
}

// bring has a frame with the messages arrive, in memory that is used for something else afterwards, as a link's is.
func (a *arrivals) bring(list ...message.Message) {
	parts := items(list...)
	f := wire.Fields{Gen: 1, Next: 1, Base: 1, First: a.next}
	a.next += uint64(len(list))
	h := wire.Head{Kind: wire.Data, From: 2, To: 1}
	aead := a.peer.Out.Stamp(&h, a.all.o.keyLimits(), len(parts))
	frame := handshake.Seal(aead, append(f.Append(wire.AppendHead(nil, h)), parts...))
	a.all.Receive(context.Background(), bob, relay, frame)
	for i := range frame {
		frame[i] = 'X'
	}
}

func (a *arrivals) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.all.Close(ctx)
}

func letters(n, size int) (list []message.Message) {
	for i := range n {
		list = append(list, letter(uint64(i)+1, size))
	}
	return list
}

// TestBodiesStay: what is delivered does not change when the frame's memory is used again, and does not keep much more
// memory than it is long, unless many others to its destination keep the same.
func TestBodiesStay(t *testing.T) {
	for _, c := range []struct{ count, size, runs int }{{1, 40, 0}, {8, 40, 0}, {300, 40, 1}, {20, 1 << 10, 1}, {1, 16 << 10, 0}, {2, 16 << 10, 0}, {1, 900 << 10, 0}, {40, 16 << 10, 1}} {
		t.Run(fmt.Sprint(c.count, " of ", c.size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []message.Message
				runs := 0
				a := newArrivals(Options{
					Acceptor: inRuns{each(func(_ context.Context, d *came) bool { got = append(got, d.Message); d.Receipt.Taken(); return true }), func(_ message.URL, run []minibus.Delivery) int {
						runs++
						for i := range run {
							got = append(got, run[i].Message)
							run[i].Receipt.Taken()
						}
						return len(run)
					}},
				})
				defer a.close()
				sent := letters(c.count, c.size)
				a.bring(sent...)
				synctest.Wait()
				if len(got) != len(sent) || (runs > 0) != (c.runs > 0) {
					t.Fatalf("%d of %d delivered, %d runs", len(got), len(sent), runs)
				}
				for i := range got {
					if got[i].ID != sent[i].ID || !bytes.Equal(got[i].Body, sent[i].Body) {
						t.Fatalf("message %d became %.60s", i+1, got[i].Body)
					}
				}
			})
		})
	}
}

// TestWhoseMemory: a large body stays where its frame was opened to; one that would keep much more than it is long is
// copied, and so is what is in somebody else's memory.
func TestWhoseMemory(t *testing.T) {
	other := letter(2, 40)
	other.To += "/other"
	all, none := func(int) bool { return true }, func(int) bool { return false }
	for _, c := range []struct {
		name  string
		frame []message.Message
		lent  bool
		stay  func(i int) bool // which bodies are not copied
	}{
		{"large", letters(1, 64<<10), false, all},
		{"large, in the link's memory", letters(1, 64<<10), true, none},
		{"small behind large", append(letters(1, 64<<10), other), false, func(i int) bool { return i == 0 }},
		{"a row", letters(100, 200), false, func(i int) bool { return i >= receiver.ShortRun }},
		{"a row in the link's memory", letters(100, 200), true, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []message.Message
			a := newArrivals(Options{Acceptor: taking(func(_ context.Context, _ message.URL, m message.Message) { got = append(got, m) })})
			defer a.close()
			s := a.all.lookup(bob)
			parts := items(c.frame...)
			s.out.Deliver(&receiver.Batch{Items: parts, First: 1, By: s.m.ledger, Lent: c.lent, Memory: len(parts)})
			if len(got) != len(c.frame) {
				t.Fatalf("%d of %d delivered", len(got), len(c.frame))
			}
			clear(parts) // what has stayed there is gone
			for i, m := range got {
				stayed := !bytes.Equal(m.Body, c.frame[i].Body)
				if stayed != c.stay(i) {
					t.Errorf("message %d stayed where it was: %v", i+1, stayed)
				}
			}
		})
	}
}

// TestRunsStopAnywhere: what a run leaves is delivered by itself, or waits for its destination, in order and once, and
// holds up no other destination.
func TestRunsStopAnywhere(t *testing.T) {
	for takes := range 34 {
		synctest.Test(t, func(t *testing.T) {
			slow, quick := message.URL("hyperty://b.example/slow"), message.URL("hyperty://b.example/quick")
			gate := make(chan struct{})
			var mu sync.Mutex
			got := map[message.URL][]uint64{}
			note := func(m *message.Message) {
				mu.Lock()
				defer mu.Unlock()
				got[m.To] = append(got[m.To], number(*m))
			}
			a := newArrivals(Options{
				Acceptor: inRuns{func(ctx context.Context, d *came) bool {
					if d.Message.To == slow {
						if !d.Wait {
							return false
						}
						<-gate
					}
					note(&d.Message)
					d.Receipt.Taken()
					return true
				}, func(_ message.URL, run []minibus.Delivery) int {
					n := min(takes, len(run))
					if run[0].Message.To == slow {
						n = 0
					}
					for i := range run {
						if one := &run[i].Message; one.To != run[0].Message.To || one.From != run[0].Message.From {
							t.Errorf("%+v in a run of %+v", one, run[0].Message)
						}
						if i < n {
							note(&run[i].Message)
							run[i].Receipt.Taken()
						}
					}
					return n
				}},
			})
			defer a.close()
			list := letters(200, 40)
			want := map[message.URL][]uint64{}
			for i := range list {
				if list[i].To = quick; i/50%2 == 0 {
					list[i].To = slow
				}
				want[list[i].To] = append(want[list[i].To], uint64(i)+1)
			}
			a.bring(list[:150]...)
			a.bring(list[150:]...)
			synctest.Wait()
			mu.Lock()
			if !slices.Equal(got[quick], want[quick]) {
				t.Errorf("runs of %d: quick was given %v before slow took anything", takes, got[quick])
			}
			mu.Unlock()
			close(gate)
			synctest.Wait()
			for to := range want {
				if !slices.Equal(got[to], want[to]) {
					t.Errorf("runs of %d: %s was given %v", takes, to, got[to])
				}
			}
		})
	}
}

// TestMalformedInARun: one that is no message is refused, and those around it are delivered.
func TestMalformedInARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []uint64
		refused := 0
		a := newArrivals(Options{
			Acceptor: taking(func(_ context.Context, _ message.URL, m message.Message) { got = append(got, number(m)) }),
			Events: func(e Event) {
				if e.Kind == Refused {
					refused++
				}
			},
		})
		defer a.close()
		list := letters(100, 40)
		list[0].Body, list[40].Body, list[99].Body = []byte(`{"a`), []byte(`{"a":}`), []byte(`[]`)
		a.bring(list...)
		synctest.Wait()
		if len(got) != 97 || refused != 3 || !slices.IsSorted(got) || got[0] != 2 || slices.Contains(got, 41) {
			t.Errorf("%d refused; delivered %v", refused, got)
		}
	})
}

// TestSourceStays: what a remote runtime is called in receipts does not change while its session rests: its share of a full
// listener would be that of all others.
func TestSourceStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sources []uint32
		a := newArrivals(Options{Acceptor: each(func(_ context.Context, d *came) bool {
			sources = append(sources, d.Receipt.Source)
			d.Receipt.Taken()
			return true
		})})
		defer a.close()
		a.bring(letters(1, 40)...)
		time.Sleep(time.Minute)
		a.bring(letters(1, 40)...)
		if len(sources) != 2 || sources[0] == 0 || sources[1] != sources[0] {
			t.Errorf("called %v", sources)
		}
	})
}
