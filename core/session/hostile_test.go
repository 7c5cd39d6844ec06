package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// foe is what a hostile network remembers.
type foe struct {
	heard [2][][]byte // what each side has sent: the last ones, and some of long ago
}

// maxHeard is how many frames the foe keeps of each side.
const maxHeard = 200

// attack is called with a frame that side i sends. It sends something of its own making to either side.
func (m *model) attack(i int, path Path, f []byte) {
	m.mu.Lock()
	heard := &m.foe.heard[i]
	if len(*heard) < maxHeard {
		*heard = append(*heard, append([]byte(nil), f...))
	} else {
		(*heard)[m.r.IntN(maxHeard)] = append([]byte(nil), f...)
	}
	whose, to := m.r.IntN(2), m.r.IntN(2)
	if len(m.foe.heard[whose]) == 0 {
		whose = i
	}
	list := m.foe.heard[whose]
	frame := append([]byte(nil), list[m.r.IntN(len(list))]...)
	other := list[m.r.IntN(len(list))]
	flip := func(from, to int) {
		if from < min(to, len(frame)) {
			frame[from+m.r.IntN(min(to, len(frame))-from)] ^= byte(1 + m.r.IntN(255))
		}
	}
	switch m.r.IntN(9) {
	case 0: // as it was, to anybody
	case 1: // another kind, incarnation or version
		flip(0, wire.HeadSize)
	case 2: // another nonce
		flip(wire.HeadSize, wire.SealedHead)
	case 3:
		flip(wire.SealedHead, len(frame))
	case 4: // the body of one under the head of another
		if len(frame) > wire.SealedHead && len(other) > wire.SealedHead {
			frame = append(frame[:wire.SealedHead], other[wire.SealedHead:]...)
		}
	case 5: // pretends that there is a new life
		frame[2] ^= byte(1 + m.r.IntN(255))
	case 6: // a handshake that nobody will end
		frame = append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: m.r.Uint64() | 1}), handshake.StepFirst)
		for range handshake.FirstSize {
			frame = append(frame, byte(m.r.Uint32()))
		}
	case 7:
		frame = append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: m.r.Uint64() | 1}), handshake.StepAsk)
	case 8: // cut and sewn
		frame = append(frame[:m.r.IntN(len(frame))], other[m.r.IntN(len(other)):]...)
	}
	wait := time.Duration(1+m.r.IntN(3000)) * time.Millisecond
	m.mu.Unlock()
	time.AfterFunc(wait, func() { m.receive(to, path, frame) })
}

// TestAlteredBits: whichever byte of a frame is altered, of the handshake or of what comes after it, nothing altered is
// delivered, everything is in the end, and the frame does no other harm.
func TestAlteredBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := -1 // the byte that is altered next, of the n-th frame
		var longest int
		p := newPair(t, Options{TTL: time.Hour}, nil)
		p.hook = func(_ bool, _ Path, frame []byte) [][]byte {
			longest = max(longest, len(frame))
			if at >= 0 && at < len(frame) {
				frame[at] ^= 0x10
				at = -1
			}
			return [][]byte{frame}
		}
		n := uint64(1)
		for i := 0; i < max(longest, 300); i++ {
			p.sync(func() { at = i })
			p.post(t, relay, n, n)
			n++
			if i%3 == 0 { // a new handshake
				ctx, cancel := context.WithCancel(t.Context())
				time.Sleep(3 * time.Second)
				cancel()
				p.restart(&p.b, ctx)
				if err := p.b.Post(t.Context(), alice, relay, letter(n, 20)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(5 * time.Second)
			if got := p.delivered(); uint64(len(got)) != n-1 {
				t.Fatalf("byte %d altered: %d of %d delivered; a %+v b %+v", i, len(got), n-1, p.a.Snapshot(), p.b.Snapshot())
			}
		}
		wantRun(t, p.delivered(), 1, n-1)
		p.close(t)
	})
}

// TestReplay: no frame is taken twice, whatever it says: none of those that b has had does anything but count.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old [][]byte
		answers := 0
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, _ Path, frame []byte) [][]byte {
			if h, _ := wire.ParseHead(frame); fromA && h.Kind != wire.Hello {
				old = append(old, append([]byte(nil), frame...))
			} else if !fromA {
				answers++
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, relay, 1, 100)
		time.Sleep(time.Second)
		p.a.UsePath(bob, direct) // a RESUME, which asks for an answer
		time.Sleep(time.Second)
		var frames [][]byte
		var before int
		p.sync(func() { frames, before = append(frames, old...), answers })
		dropped := p.b.Snapshot()[0].Dropped
		for _, f := range frames {
			p.b.Receive(t.Context(), alice, relay, append([]byte(nil), f...))
		}
		time.Sleep(time.Second)
		if now := p.b.Snapshot()[0].Dropped; now != dropped+uint64(len(frames)) {
			t.Errorf("%d of %d replayed frames were dropped", now-dropped, len(frames))
		}
		p.sync(func() {
			if answers != before {
				t.Errorf("%d answers to replayed frames", answers-before)
			}
		})
	})
}

// meet lets a talk with whoever is at the other end of the wire, and says whether they paired and what a was told.
func meet(t *testing.T, a, b Options) (paired bool, delivered int, told []Event) {
	t.Helper()
	var x, y *Sessions
	var mu sync.Mutex
	to := func(peer **Sessions, from message.URL) func(context.Context, Path, message.URL, ...[]byte) error {
		return func(ctx context.Context, path Path, _ message.URL, frames ...[]byte) error {
			for _, f := range frames {
				mu.Lock()
				s := *peer
				mu.Unlock()
				s.Receive(ctx, from, path, append([]byte(nil), f...))
			}
			return nil
		}
	}
	got := func(context.Context, message.URL, message.Message) {
		mu.Lock()
		defer mu.Unlock()
		delivered++
	}
	a.Acceptor, b.Acceptor = taking(got), taking(got)
	a.Send, b.Send = to(&y, a.Self), to(&x, b.Self)
	a.Events = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == Untrusted {
			told = append(told, e)
		}
	}
	mu.Lock()
	x, y = New(a), New(b)
	mu.Unlock()
	if err := x.Post(t.Context(), b.Self, relay, letter(1, 20)); err != nil && !errors.Is(err, ErrUntrusted) {
		t.Fatal(err)
	}
	if err := y.Post(t.Context(), a.Self, relay, letter(1<<32, 20)); err != nil && !errors.Is(err, ErrUntrusted) {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	for _, st := range x.Snapshot() {
		paired = paired || st.Incarnation != 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x.Close(ctx)
	y.Close(ctx)
	mu.Lock()
	defer mu.Unlock()
	return paired, delivered, told
}

// TestImpostor: who cannot prove to be the runtime whose address it uses gets no session, as initiator or responder.
func TestImpostor(t *testing.T) {
	mallory := someone("b.example", 66)
	for name, of := range map[string]func(real person) handshake.Key{
		"its own certificate": func(person) handshake.Key { return mallory.key },
		"the other's certificate, its key": func(r person) handshake.Key {
			return handshake.Key{Private: mallory.key.Private, Certificate: r.key.Certificate}
		},
		"its own certificate, the other's": func(r person) handshake.Key {
			return handshake.Key{Private: r.key.Private, Certificate: mallory.key.Certificate}
		},
		"its own key, the other's signature": func(r person) handshake.Key {
			return handshake.Key{Private: mallory.key.Private, Certificate: append(append([]byte(nil), mallory.key.Certificate[:32]...), r.key.Certificate[32:]...)}
		},
		"the other's key, its own signature": func(r person) handshake.Key {
			return handshake.Key{Private: mallory.key.Private, Certificate: append(append([]byte(nil), r.key.Certificate[:32]...), mallory.key.Certificate[32:]...)}
		},
		"no certificate": func(r person) handshake.Key {
			return handshake.Key{Private: r.key.Private, Certificate: make([]byte, len(r.key.Certificate))}
		},
		"a certificate that is cut off": func(r person) handshake.Key {
			return handshake.Key{Private: r.key.Private, Certificate: r.key.Certificate[:40]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, pair := range [][2]person{{aliceSelf, bobSelf}, {bobSelf, aliceSelf}} {
					real, victim := pair[0], pair[1]
					paired, delivered, told := meet(t, Options{Self: victim.url, Key: victim.key}, Options{Self: real.url, Key: of(real)})
					if paired || delivered != 0 {
						t.Errorf("%s has a session with who pretends to be %s; %d messages were delivered", victim.url, real.url, delivered)
					}
					if cut := name == "a certificate that is cut off"; !cut && (len(told) != 1 || !strings.Contains(told[0].Why, "wrong certificate")) {
						t.Errorf("told %+v", told)
					}
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // the test itself: with the right key they pair
		if paired, delivered, told := meet(t, Options{Self: alice, Key: aliceSelf.key}, Options{Self: bob, Key: bobSelf.key}); !paired || delivered != 2 || len(told) != 0 {
			t.Errorf("%v %d %v", paired, delivered, told)
		}
	})
}

// TestCrossed: a handshake that was meant for one runtime is worth nothing with another.
func TestCrossed(t *testing.T) {
	carol := someone("c.example", 3)
	secret := handshake.NewSecret()
	local := func(who person) *handshake.Local {
		o := Options{Self: who.url, Key: who.key}.withDefaults()
		l, err := handshake.NewLocal(o.Self, o.Incarnation, o.Key)
		if err != nil {
			t.Fatal(err)
		}
		return &l
	}
	offer, err := local(aliceSelf).Offer(alice, bob, secret)
	if err != nil {
		t.Fatal(err)
	}
	finish := func(who person, first []byte) error {
		a, err := local(who).Answer(who.url, alice, first, handshake.NewSecret())
		if err != nil {
			return err
		}
		_, err = offer.Second(a.Second)
		return err
	}
	if err := finish(carol, offer.First); err == nil {
		t.Error("alice took carol's answer for bob's")
	}
	altered := append([]byte(nil), offer.First...)
	altered[handshake.KeySize] ^= 1 // the incarnation, which is not encrypted
	if err := finish(bobSelf, altered); err == nil {
		t.Error("an altered incarnation was not noticed")
	}
	if err := finish(bobSelf, offer.First); err != nil {
		t.Errorf("the failed tries have spoilt the handshake: %v", err)
	}
}

// TestUntrusted: Options.Trust keeps sessions from being made, in both directions, and says why.
func TestUntrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("not on the list: add it to trust.peers")
		a := Options{Self: alice, Key: aliceSelf.key, Trust: func(u message.URL) error {
			if u == bob {
				return no
			}
			return nil
		}}
		paired, delivered, told := meet(t, a, Options{Self: bob, Key: bobSelf.key})
		if paired || delivered != 0 || len(told) != 1 || !strings.Contains(told[0].Why, "trust.peers") {
			t.Errorf("paired %v, %d delivered, told %+v", paired, delivered, told)
		}
		s := New(a)
		if err := s.Post(t.Context(), bob, relay, letter(1, 20)); !errors.Is(err, ErrUntrusted) || !errors.Is(err, no) {
			t.Errorf("post: %v", err)
		}
		s.Close(t.Context())
	})
}

// TestCheatingPath: forged signs of a new life, as many as a path likes, do not take a session's keys, path or numbers
// away, and slow it down little.
func TestCheatingPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		p.hook = func(_ bool, path Path, frame []byte) [][]byte {
			if path == relay {
				return nil // it cheats: nothing of ours goes through
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, direct, 1, 1)
		time.Sleep(time.Second)
		stop := make(chan struct{})
		var cheat sync.WaitGroup
		cheat.Go(func() {
			for n := uint64(1); ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				for _, h := range []wire.Head{{Kind: wire.Hello, From: n}, {Kind: wire.Data, From: n, To: 7}, {Kind: wire.Data, From: p.b.Incarnation(), To: p.a.Incarnation()}} {
					frame := wire.AppendHead(nil, h)
					if h.Kind == wire.Hello {
						frame = append(frame, handshake.StepFirst)
					}
					frame = append(frame, make([]byte, 100)...)
					p.b.Receive(t.Context(), alice, relay, append([]byte(nil), frame...))
					if h.Kind == wire.Hello {
						frame[wire.HeadSize] = handshake.StepAsk
					}
					p.a.Receive(t.Context(), bob, relay, frame)
				}
			}
		})
		began, slowest := time.Now(), time.Duration(0)
		for n := uint64(2); n < 1000; n++ {
			posted := time.Now()
			p.post(t, Path{}, n, n)
			for uint64(len(p.delivered())) < n {
				time.Sleep(time.Millisecond)
			}
			slowest = max(slowest, time.Since(posted))
			time.Sleep(10 * time.Millisecond)
		}
		close(stop)
		cheat.Wait()
		if took := time.Since(began); took > 15*time.Second || slowest > 100*time.Millisecond {
			t.Errorf("998 messages took %v, the slowest %v", took, slowest)
		}
		wantRun(t, p.delivered(), 1, 999)
		if st := p.a.Snapshot()[0]; st.Path != direct || st.Incarnation != p.b.Incarnation() {
			t.Errorf("state %+v", st)
		}
	})
}
