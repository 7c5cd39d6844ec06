package session

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
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
				p.a.o.Acceptor = taking(func(_ context.Context, _ message.URL, m message.Message) { toA <- number(m) })
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
	ours, err := handshake.NewLocal(bob, 5, bobSelf.key)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := handshake.NewLocal(alice, 7, aliceSelf.key)
	if err != nil {
		t.Fatal(err)
	}
	o, err := theirs.Offer(alice, bob, handshake.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ours.Answer(bob, alice, o.First, handshake.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.Second(a.Second)
	if err != nil {
		t.Fatal(err)
	}
	before := &a.Second[0]
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			if end, err := a.Third(got.Third); err != nil || end.Incarnation != 7 || a.From != 7 {
				t.Error(end.Incarnation, err)
			}
		})
	}
	readers.Wait()
	if &a.Second[0] != before {
		t.Error("the answer was made anew")
	}
}
