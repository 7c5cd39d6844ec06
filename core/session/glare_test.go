package session

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Both sides begin to say something while a handshake that the other one began is under way: whenever that is, messages arrive
// soon, in both directions.
func TestBothBeginAtOnce(t *testing.T) {
	for hold := range 8 { // b posts when so many frames have been sent
		for _, direction := range []bool{true, false} { // and alice, or bob, posts first
			synctest.Test(t, func(t *testing.T) {
				var p *pairOf
				frames, posted := 0, make(chan struct{})
				at := make(chan struct{}, 1)
				p = newPair(t, Options{}, func(_ bool, _ Path, f []byte) [][]byte {
					if frames++; frames == hold+1 {
						at <- struct{}{}
						<-posted
					}
					return [][]byte{f}
				})
				toA := make(chan uint64, 10)
				p.a.o.Deliver = taking(func(_ context.Context, _ message.URL, m message.Message) { toA <- number(m) })
				fromBob := letter(1, 20)
				fromBob.From, fromBob.To = "hyperty://b.example/y", "hyperty://a.example/x"
				post := func(first bool) {
					if first == direction {
						if err := p.a.Post(context.Background(), bob, relay, letter(1, 20)); err != nil {
							t.Error(err)
						}
					} else if err := p.b.Post(context.Background(), alice, relay, fromBob); err != nil {
						t.Error(err)
					}
				}
				began := time.Now()
				go func() {
					select {
					case <-at:
					case <-time.After(time.Second):
					}
					post(false)
					close(posted)
				}()
				post(true)
				<-posted
				for range 3000 {
					if len(toA) > 0 && len(p.delivered()) > 0 {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				took := time.Since(began)
				if len(toA) != 1 || len(p.delivered()) != 1 {
					t.Errorf("hold %d, %v: %d and %d messages came in %v", hold, direction, len(toA), len(p.delivered()), took)
				}
				if took > 3*time.Second {
					t.Errorf("hold %d, %v: it took %v", hold, direction, took)
				}
				p.close(t)
			})
		}
	}
}

// An answered handshake of a stranger is read by whoever brings the next message of it, and several may at once: it does not
// change.
func TestAnswersDoNotChange(t *testing.T) {
	ours, err := newLocal(&Options{Self: bob, Key: bobSelf.key, Incarnation: 5})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := newLocal(&Options{Self: alice, Key: aliceSelf.key, Incarnation: 7})
	if err != nil {
		t.Fatal(err)
	}
	o, err := theirs.offer(alice, bob, newSecret())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ours.answer(bob, alice, o.first, newSecret())
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.second(a.second)
	if err != nil {
		t.Fatal(err)
	}
	before := &a.second[0]
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			if end, err := a.third(got.third); err != nil || end.incarnation != 7 || a.from != 7 {
				t.Error(end.incarnation, err)
			}
		})
	}
	readers.Wait()
	if &a.second[0] != before {
		t.Error("the answer was made anew")
	}
}
