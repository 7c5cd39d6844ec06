package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/answers"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// forgedHello is a hello as anybody can make it: a first message is one that has to be computed on.
func forgedHello(from uint64, step byte) []byte {
	b := append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: from}), step)
	switch step {
	case handshake.StepFirst:
		key := make([]byte, handshake.KeySize)
		rand.Read(key)
		return binary.BigEndian.AppendUint64(append(b, key...), from)
	case handshake.StepSecond, handshake.StepThird:
		return append(b, make([]byte, handshake.SecondSize)...)
	}
	return b
}

// TestStrangersTakeNoPlace: runtimes that do not exist, however many, leave the table to those who do.
func TestStrangersTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{Totals: Totals{Sessions: 16}}, nil)
		defer p.close(t)
		for n := range uint64(2000) {
			for _, s := range []*Sessions{p.a, p.b} {
				name := message.URL(fmt.Sprintf("hyperty-runtime://%c.example/%d", "0z"[n%2], n))
				s.Receive(t.Context(), name, relay, forgedHello(n+1, handshake.StepAsk+byte(n/2%4)))
				s.Receive(t.Context(), name, relay, append(wire.AppendHead(nil, wire.Head{Kind: wire.Data, From: n + 1}), make([]byte, 50)...))
			}
			time.Sleep(time.Millisecond)
		}
		if n := len(p.a.Snapshot()) + len(p.b.Snapshot()); n != 0 {
			t.Errorf("%d sessions with nobody", n)
		}
		p.post(t, relay, 1, 3)
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 3)
		time.Sleep(time.Minute)
		for _, s := range []*Sessions{p.a, p.b} {
			if err := s.strangers.Check(); s.strangers.Kept() != 0 || err != nil {
				t.Errorf("%d handshakes are left, %v", s.strangers.Kept(), err)
			}
			if s.answers.Busy() {
				t.Error("something is left to be answered")
			}
		}
	})
}

// TestForgedByAnotherPath: forged hellos in the name of a runtime, by a path of somebody else's, do not keep it from
// pairing by its own, whichever of the two is flooded.
func TestForgedByAnotherPath(t *testing.T) {
	for name, flooded := range map[string]bool{"the initiator": true, "the responder": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Options{Route: func(message.URL) (Path, bool) { return relay, true }}, nil)
				p.hook = func(fromA bool, path Path, frame []byte) [][]byte {
					s, from := p.a, bob
					if fromA {
						s, from = p.b, alice
					}
					if path == relay { // it takes a moment, and no order is kept
						delay := 100 * time.Millisecond
						switch h, _ := wire.ParseHead(frame); {
						case h.Kind != wire.Hello && fromA:
							delay -= 10 * time.Millisecond
						case h.Kind != wire.Hello:
							delay += 10 * time.Millisecond
						}
						time.AfterFunc(delay, func() { s.Receive(t.Context(), from, path, frame) })
					}
					return nil
				}
				defer p.close(t)
				victim, other := p.b, alice
				if flooded {
					victim, other = p.a, bob
				}
				if err := victim.Post(t.Context(), other, Path{}, letter(1<<40, 20)); err != nil { // it has a session, and nobody answers
					t.Fatal(err)
				}
				forge := func(n uint64) {
					for _, step := range []byte{handshake.StepAsk, handshake.StepFirst, handshake.StepSecond, handshake.StepThird, handshake.StepCookie} {
						frame := forgedHello(n+1, step)
						binary.BigEndian.PutUint64(frame[10:], victim.Incarnation())
						victim.Receive(t.Context(), other, stray, frame)
					}
				}
				for n := range uint64(200) { // what may be computed at once is used up
					forge(n)
				}
				p.post(t, relay, 1, 1)
				for n := range uint64(1500) {
					forge(1000 + n)
					time.Sleep(time.Millisecond)
				}
				if !slices.Contains(p.delivered(), 1) {
					t.Errorf("delivered %v: they have not paired", p.delivered())
				}
			})
		})
	}
}

// TestUnderLoad: while strangers ask for more than is computed, one that gets what is sent to it is listened to, by the
// same path; and no more is computed than there is time for.
func TestUnderLoad(t *testing.T) {
	for name, flooded := range map[string]bool{"the initiator": true, "the responder": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				steps := map[byte]int{}
				p := newPair(t, Options{}, nil)
				count := func(s *Sessions, names byte) {
					send := s.o.Send
					s.o.Send = func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
						if remote == alice || remote == bob {
							return send(ctx, path, remote, frames...)
						}
						mu.Lock()
						defer mu.Unlock()
						for _, f := range frames {
							steps[f[wire.HeadSize]]++
						}
						return nil
					}
				}
				defer p.close(t)
				victim, other, step, prefix := p.b, p.a, byte(handshake.StepFirst), byte('0')
				if flooded {
					victim, other, step, prefix = p.a, p.b, byte(handshake.StepAsk), byte('z')
				}
				count(victim, prefix)
				const seconds, each = 6, 4000
				for n := range uint64(seconds * each) {
					name := message.URL(fmt.Sprintf("hyperty-runtime://%c.example/%d", prefix, n))
					victim.Receive(t.Context(), name, relay, forgedHello(n+1, step))
					if n == 2*each {
						if err := other.Post(t.Context(), victim.self, relay, letter(1, 20)); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Second / each)
				}
				if list := other.Snapshot(); len(list) != 1 || list[0].Unacked != 0 {
					t.Errorf("not paired under load: %+v", list)
				}
				mu.Lock()
				defer mu.Unlock()
				if n := steps[handshake.StepFirst] + steps[handshake.StepSecond]; n > strangers.OpenHandshakes+strangers.OpenRate*seconds+8 || steps[handshake.StepCookie] == 0 {
					t.Errorf("answers: %v", steps)
				}
			})
		})
	}
}

// TestAnsweredBeforeTheSession: a handshake that was answered as a stranger's goes on where there is a session meanwhile, because
// this runtime has something to say too.
func TestAnsweredBeforeTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var second []byte
		p := newPair(t, Options{}, func(fromA bool, _ Path, frame []byte) [][]byte {
			h, _ := wire.ParseHead(frame)
			switch {
			case fromA || h.Kind != wire.Hello:
				return [][]byte{frame}
			case frame[wire.HeadSize] == handshake.StepSecond && second == nil:
				second = frame // it comes later
			}
			return nil
		})
		defer p.close(t)
		p.post(t, relay, 1, 1)
		synctest.Wait()
		if len(p.b.Snapshot()) != 0 || second == nil {
			t.Fatal("alice is no stranger")
		}
		if err := p.b.Post(t.Context(), alice, relay, letter(1, 20)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.a.Receive(t.Context(), bob, relay, bytes.Clone(second))
		synctest.Wait()
		wantRun(t, p.delivered(), 1, 1)
		if n := p.b.strangers.Kept(); n != 0 {
			t.Errorf("%d handshakes with strangers are left", n)
		}
	})
}

// FuzzStranger: whatever somebody without a session sends makes no session, and keeps within its bounds.
func FuzzStranger(f *testing.F) {
	for step := range byte(7) {
		f.Add(uint8(step), forgedHello(7, step))
	}
	f.Add(uint8(0), append(wire.AppendHead(nil, wire.Head{Kind: wire.Data, From: 3}), make([]byte, 40)...))
	f.Add(uint8(1), handshake.Cover(make([]byte, handshake.CookieSize), handshake.StepFirst, make([]byte, handshake.FirstSize)))
	f.Add(uint8(2), []byte{wire.Version})
	f.Fuzz(func(t *testing.T, who uint8, frame []byte) {
		s := New(Options{
			Self: bob, Key: bobSelf.key, Incarnation: 1,
			Send:     func(context.Context, Path, message.URL, ...[]byte) error { return nil },
			Acceptor: taking(func(context.Context, message.URL, message.Message) { t.Error("delivered something of nobody's") }),
		})
		for n := range 8 {
			name := []message.URL{alice, "hyperty-runtime://a.example/1", "hyperty-runtime://z.example/1", ""}[(int(who)+n)%4]
			path := []Path{relay, direct}[n/4]
			s.Receive(t.Context(), name, path, bytes.Clone(frame))
			s.Receive(t.Context(), name, path, append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: 9, To: 1}), frame...))
		}
		var desks sync.WaitGroup // do what waits in order, and this last
		for _, path := range []Path{relay, direct} {
			desks.Add(1)
			s.answers.Compute(path, alice, func() []byte { desks.Done(); return nil })
		}
		desks.Wait()
		kept := s.strangers.Kept()
		if len(s.Snapshot()) != 0 || kept > 3*2*strangers.MaxPendingOf {
			t.Errorf("%d sessions, %d handshakes", len(s.Snapshot()), kept)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Close(ctx)
	})
}

// TestReadersDoNotCompute: who brings strangers' wishes for a handshake, or their first messages, does not wait until they are
// computed on; what more there is than one path has room for is dropped.
func TestReadersDoNotCompute(t *testing.T) {
	for name, stranger := range map[string]struct {
		step byte
		url  string
	}{
		"a wish":          {handshake.StepAsk, "hyperty-runtime://zz.example/%d"}, // this runtime is the initiator
		"a first message": {handshake.StepFirst, "hyperty-runtime://0.example/%d"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Options{}, nil)
				defer p.close(t)
				send, free := p.b.o.Send, make(chan struct{})
				p.b.o.Send = func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
					<-free
					return send(ctx, path, remote, frames...)
				}
				kept := p.b.strangers.Kept
				for n := range uint64(strangers.OpenHandshakes) {
					p.b.Receive(t.Context(), message.URL(fmt.Sprintf(stranger.url, n)), relay, forgedHello(n+1, stranger.step))
					synctest.Wait()
				}
				if n := kept(); n != 1 {
					t.Errorf("%d were computed on while their path is full", n)
				}
				close(free)
				synctest.Wait()
				if n := kept(); n < answers.MaxOf/2 || n > answers.MaxOf+1 {
					t.Errorf("%d were computed on, with room for %d", n, answers.MaxOf)
				}
			})
		})
	}
}
