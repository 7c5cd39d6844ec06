package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// hearing is what a side has been told of the other's addresses.
type hearing struct {
	mu      sync.Mutex
	known   map[message.URL]int
	gone    map[message.URL]int
	strange []message.URL // of messages that came before
}

func (h *hearing) announced(_ context.Context, _ message.URL, addresses []message.URL) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range addresses {
		h.known[u]++
	}
}

func (h *hearing) deliver(_ context.Context, _ message.URL, m message.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[m.From.Base().Canonical()] == 0 && !m.From.IsRuntime() {
		h.strange = append(h.strange, m.From)
	}
}

func (h *hearing) of(u message.URL) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[u]
}

// hears gives a pair's b something to hear with.
func hears(t *testing.T, o Options, hook func(fromA bool, path Path, frame []byte) [][]byte) (*pairOf, *hearing) {
	h := &hearing{known: map[message.URL]int{}}
	o.Claims.Announced, o.Acceptor = h.announced, taking(h.deliver)
	return newPair(t, o, hook), h
}

// Whatever the network does with frames, the receiver has heard of an address before the first message from there: also of
// messages to other destinations, and over another path.
func TestAnnouncedBeforeTheFirstMessage(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			p, h := hears(t, Options{TTL: -1, FrameBytes: 1 << (7 + seed%6)}, func(_ bool, _ Path, f []byte) [][]byte {
				if r.IntN(4) == 0 {
					return nil
				}
				return [][]byte{f}
			})
			for n := range 200 {
				m := letter(uint64(n+1), 20)
				m.From = message.URL(fmt.Sprintf("hyperty://a.example/h%d", n/3))
				switch n % 7 {
				case 1:
					m.From = "comm://a.example/room/subscription"
				case 2:
					m.From = alice.Join("sm")
				}
				m.To = message.URL(fmt.Sprintf("hyperty://b.example/%d", n%5))
				if err := p.a.Post(t.Context(), bob, []Path{relay, direct}[n/50%2], m); err != nil {
					t.Fatal(err)
				}
				if n%10 == 0 {
					time.Sleep(time.Second)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(h.strange) > 0 || len(h.known) < 60 || h.known[alice] > 0 {
				t.Errorf("seed %d: messages came from %d addresses unannounced; %d announced", seed, len(h.strange), len(h.known))
			}
			p.close(t)
		})
	}
}

// An address is announced once, and again to who may have forgotten it.
func TestAnnouncedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := hears(t, Options{}, nil)
		const x message.URL = "hyperty://a.example/x"
		n := uint64(0)
		post := func(path Path, want, most int, why string) {
			t.Helper()
			for range 3 {
				n++
				p.post(t, path, n, n)
			}
			time.Sleep(time.Second)
			if got := h.of(x); got < want || got > most {
				t.Errorf("%s: announced %d times, want %d to %d", why, got, want, most)
			}
		}
		post(relay, 1, 1, "once")
		post(Path{}, 1, 1, "known")
		post(direct, 2, 2, "on another path")
		post(direct, 2, 2, "known there")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.restart(&p.b, ctx)
		if err := p.b.Post(t.Context(), alice, direct, letter(1, 20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		post(direct, 3, 4, "to its next life")
		p.close(t)
	})
}

// Without Announced nothing is announced, and announcements of the other side are skipped.
func TestNothingIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		p.post(t, relay, 1, 5)
		time.Sleep(time.Second)
		end := p.end(true)
		end.lock()
		var f wire.Fields
		if end.m.send.Fields(&f); f.First != 6 {
			t.Errorf("%d numbers were used for 5 messages", f.First-1)
		}
		end.unlock()
		p.close(t)
	})
}

// ended notes what the other side has given up.
func (h *hearing) ended(_ context.Context, _ message.URL, addresses []message.URL) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range addresses {
		h.gone[u]++
	}
}

// An address that is given up is taken back once, in the session's order, also where it was announced on another path; what is
// posted from there afterwards has it announced again. Nobody is told who was not told of it.
func TestEndedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hearing{known: map[message.URL]int{}, gone: map[message.URL]int{}}
		p := newPair(t, Options{Claims: Claims{h.announced, h.ended}, Acceptor: taking(h.deliver)}, nil)
		const x, y message.URL = "hyperty://a.example/x", "hyperty://a.example/y"
		n := uint64(0)
		post := func(path Path) {
			t.Helper()
			n++
			p.post(t, path, n, n)
		}
		want := func(announced, ended int, why string) {
			t.Helper()
			time.Sleep(time.Second)
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.known[x] != announced || h.gone[x] != ended || h.gone[y] != 0 || len(h.strange) > 0 {
				t.Errorf("%s: announced %d times, ended %d times, want %d and %d; strange %v, %v", why, h.known[x], h.gone[x], announced, ended, h.strange, h.gone)
			}
		}
		end := func() { p.a.Ended(x.Join("part")); p.a.Ended(y) }
		end()
		post(relay)
		want(1, 0, "at first")
		end()
		end()
		want(1, 1, "given up")
		post(relay)
		want(2, 1, "it is back")
		p.a.UsePath(bob, direct)
		end()
		want(2, 2, "given up after the path has changed")
		post(direct)
		want(3, 2, "back on the other path")
		time.Sleep(2 * lately)
		end()
		want(3, 2, "to a peer that has said nothing for long")
		post(direct)
		want(4, 2, "announced all the same")
		p.close(t)
	})
}
