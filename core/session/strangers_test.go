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

	"github.com/protofly/protofly/core/session/internal/handshake"
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
		p := newPair(t, Options{Sessions: 16}, nil)
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
			s.strangersMu.Lock()
			if pool := &s.strangers.pool; pool.count != 0 || len(pool.by) != 0 || len(pool.paths) != 0 || len(s.strangers.desks) != 0 {
				t.Errorf("%d handshakes and %d desks are left", pool.count, len(s.strangers.desks))
			}
			s.strangersMu.Unlock()
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
				if n := steps[handshake.StepFirst] + steps[handshake.StepSecond]; n > openHandshakes+openRate*seconds+8 || steps[handshake.StepCookie] == 0 {
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
		if p.b.strangersMu.Lock(); p.b.strangers.pool.count != 0 {
			t.Errorf("%d handshakes with strangers are left", p.b.strangers.pool.count)
		}
		p.b.strangersMu.Unlock()
	})
}

// TestCookies: a cookie is one runtime's, by one path, for a while.
func TestCookies(t *testing.T) {
	var c cookies
	now := time.Second
	mine := c.of(alice, relay, now)
	for _, one := range []struct {
		remote message.URL
		path   Path
		at     time.Duration
		good   bool
	}{
		{alice, relay, now, true},
		{bob, relay, now, false},
		{alice, direct, now, false},
		{alice, relay, now + cookieTime, true},
		{alice, relay, now + 2*cookieTime, false},
	} {
		if good := c.good(mine, one.remote, one.path, one.at); good != one.good {
			t.Errorf("%+v: %v", one, good)
		}
	}
	if c.good(make([]byte, handshake.CookieSize), alice, relay, time.Hour) || c.good(nil, alice, relay, time.Hour) {
		t.Error("no cookie counted as one")
	}
	whole := handshake.Cover(mine, handshake.StepFirst, []byte("rest"))
	if step, m, said, ok := handshake.Uncover(whole); !ok || step != handshake.StepFirst || string(m) != "rest" || !bytes.Equal(said, mine) {
		t.Errorf("uncovered %d %q %x %v", step, m, said, ok)
	}
	for _, bad := range [][]byte{nil, whole[:1+handshake.CookieSize], handshake.Cover(mine, handshake.StepThird, nil), handshake.Cover(mine, handshake.StepWithCookie, nil), make([]byte, handshake.MaxHello+1)} {
		if _, _, _, ok := handshake.Uncover(bad); ok {
			t.Errorf("%x counted as a hello", bad)
		}
	}
}

// TestPool: a path that brings many handshakes drives out its own alone.
func TestPool(t *testing.T) {
	var p pool
	add := func(n int, path Path) *pending {
		one := &pending{remote: message.URL(fmt.Sprint("hyperty-runtime://a/", n)), path: path}
		p.add(one, time.Duration(n)+1)
		return one
	}
	honest := add(0, direct)
	for n := range 3 * maxPending {
		add(n, relay)
	}
	if p.count != maxPending || len(p.of(honest.remote, func(one *pending) bool { return one == honest })) != 1 {
		t.Errorf("%d kept, the honest one among them: %v", p.count, p.by[honest.remote])
	}
	for range 2 * maxPendingOf { // of one runtime by one path
		add(0, direct)
	}
	if n := len(p.of(honest.remote, func(one *pending) bool { return one.path == direct })); n != maxPendingOf {
		t.Errorf("%d of one runtime by one path", n)
	}
	p.forget(honest.remote)
	if n := len(p.by[honest.remote]); n != 0 {
		t.Errorf("%d left of a runtime that is to be forgotten", n)
	}
	if p.expire(time.Hour); p.count != 0 || len(p.by) != 0 || len(p.paths) != 0 {
		t.Errorf("%d left: %d runtimes, %d paths", p.count, len(p.by), len(p.paths))
	}
}

// TestAllowance: what one stub brings uses up nothing of another's.
func TestAllowance(t *testing.T) {
	var a allowance
	at := time.Now()
	taken := 0
	for range 10_000 {
		if a.take("greedy", at) {
			taken++
		}
	}
	if taken != handshakesAll+handshakesStub {
		t.Errorf("%d were computed on at once", taken)
	}
	for n := range handshakesStub + 1 {
		if ok := a.take("modest", at); ok != (n < handshakesStub) {
			t.Errorf("number %d of another stub: %v", n, ok)
		}
	}
	for n := range 10 * maxStubs {
		a.take(message.URL(fmt.Sprint(n)), at)
	}
	if len(a.by) > maxStubs {
		t.Errorf("%d stubs are kept", len(a.by))
	}
	if !a.take("late", at.Add(time.Minute)) || a.by["late"] == nil {
		t.Error("stubs that were quiet make no room")
	}
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
			Send:    func(context.Context, Path, message.URL, ...[]byte) error { return nil },
			Deliver: taking(func(context.Context, message.URL, message.Message) { t.Error("delivered something of nobody's") }),
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
			s.queue(path, reply{make: desks.Done})
		}
		desks.Wait()
		s.strangersMu.Lock()
		kept := s.strangers.pool.count
		s.strangersMu.Unlock()
		if len(s.Snapshot()) != 0 || kept > 3*2*maxPendingOf {
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
				kept := func() int {
					p.b.strangersMu.Lock()
					defer p.b.strangersMu.Unlock()
					return p.b.strangers.pool.count
				}
				for n := range uint64(openHandshakes) {
					p.b.Receive(t.Context(), message.URL(fmt.Sprintf(stranger.url, n)), relay, forgedHello(n+1, stranger.step))
					synctest.Wait()
				}
				if n := kept(); n != 1 {
					t.Errorf("%d were computed on while their path is full", n)
				}
				close(free)
				synctest.Wait()
				if n := kept(); n < maxReplies/2 || n > maxReplies+1 {
					t.Errorf("%d were computed on, with room for %d", n, maxReplies)
				}
			})
		})
	}
}
