package session

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// puppet is alice, the initiator, moved by hand: she speaks with a real bob.
type puppet struct {
	t   *testing.T
	bob *Sessions
	mu  sync.Mutex
	out [][]byte // bob's hellos
}

func newPuppet(t *testing.T) *puppet {
	p := &puppet{t: t}
	p.bob = New(Options{Self: bob, Key: bobSelf.key, Incarnation: 1000,
		Send: func(_ context.Context, _ Path, _ message.URL, frames ...[]byte) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, f := range frames {
				if h, err := wire.ParseHead(f); err == nil && h.Kind == wire.Hello {
					p.out = append(p.out, append([]byte(nil), f[wire.HeadSize:]...))
				}
			}
			return nil
		},
		Acceptor: taking(func(context.Context, message.URL, message.Message) {}),
	})
	return p
}

// say gives bob a hello and returns what he answers.
func (p *puppet) say(from uint64, step byte, m []byte) (answers [][]byte) {
	p.mu.Lock()
	p.out = nil
	p.mu.Unlock()
	p.bob.Receive(p.t.Context(), alice, relay, append(append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: from, To: 1000}), step), m...))
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

// begin is a handshake of an incarnation up to its third message.
func (p *puppet) begin(incarnation uint64) (third []byte, ok bool) {
	p.t.Helper()
	o := Options{Self: alice, Key: aliceSelf.key, Incarnation: incarnation}.withDefaults()
	l, err := handshake.NewLocal(o.Self, o.Incarnation, o.Key)
	if err != nil {
		p.t.Fatal(err)
	}
	offer, err := l.Offer(alice, bob, handshake.NewSecret())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, body := range p.say(incarnation, handshake.StepFirst, offer.First) {
		if body[0] == handshake.StepSecond {
			got, err := offer.Second(body[1:])
			return got.Third, err == nil
		}
	}
	return nil, false
}

func (p *puppet) peer() uint64 {
	if list := p.bob.Snapshot(); len(list) > 0 {
		return list[0].Incarnation
	}
	return 0
}

func (p *puppet) keys() *handshake.Keys {
	one := p.bob.lookup(alice)
	one.lock()
	defer one.unlock()
	return one.m.pair.Keys()
}

func (p *puppet) close() {
	ctx, cancel := context.WithCancel(p.t.Context())
	cancel()
	p.bob.Close(ctx)
}

// TestPairingChecks: nobody becomes the peer without the end of a handshake, nobody who was replaced becomes it again,
// and no handshake that began before another had ended replaces it.
func TestPairingChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPuppet(t)
		defer p.close()
		first, ok := p.begin(1)
		if !ok || p.peer() != 0 {
			t.Fatal("paired before the third message")
		}
		if p.say(2, handshake.StepThird, first); p.peer() != 0 {
			t.Fatal("another incarnation ended the handshake")
		}
		if p.say(1, handshake.StepSecond, first); p.peer() != 0 {
			t.Fatal("the third message counted as another")
		}
		if p.say(1, handshake.StepThird, first); p.peer() != 1 {
			t.Fatal("the third message did not end the handshake")
		}

		// Two handshakes of one incarnation: the one that ended last had begun last.
		held, _ := p.begin(1)
		last, _ := p.begin(1)
		p.say(1, handshake.StepThird, last)
		keys := p.keys()
		for _, third := range [][]byte{held, first, last} {
			if p.say(1, handshake.StepThird, third); p.keys() != keys {
				t.Fatal("an older handshake replaced the keys")
			}
		}

		time.Sleep(time.Minute)
		second, _ := p.begin(5)
		if p.say(5, handshake.StepThird, second); p.peer() != 5 {
			t.Fatal("a new life was not taken")
		}
		time.Sleep(time.Minute)
		if third, ok := p.begin(1); ok {
			t.Error("a life that was replaced got an answer")
		} else if p.say(1, handshake.StepThird, third); p.peer() != 5 {
			t.Error("a life that was replaced came back")
		}
	})
}

// TestOnlyForWhomItIs: a sealed incarnation that is not the one in the head ends no handshake.
func TestOnlyForWhomItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPuppet(t)
		defer p.close()
		o := Options{Self: alice, Key: aliceSelf.key, Incarnation: 1}.withDefaults()
		l, _ := handshake.NewLocal(o.Self, o.Incarnation, o.Key)
		offer, err := l.Offer(alice, bob, handshake.NewSecret())
		if err != nil {
			t.Fatal(err)
		}
		if got := p.say(2, handshake.StepFirst, offer.First); len(got) != 0 {
			t.Errorf("answered %d hellos to an incarnation that is not the sealed one", len(got))
		}
	})
}

// TestForgedWishes: what anybody can send makes a paired runtime say little, and nothing to a peer that has keys.
func TestForgedWishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hellos, back := 0, 0
		p := newPair(t, Options{}, nil)
		p.hook = func(_ bool, path Path, frame []byte) [][]byte {
			if h, _ := wire.ParseHead(frame); h.Kind == wire.Hello {
				hellos++
				if path == relay { // it came from there: whoever is there may be the peer's next life
					back++
				}
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, direct, 1, 1)
		time.Sleep(20 * time.Second)
		p.sync(func() { hellos = 0 })
		for range 1000 {
			ask := append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: p.b.Incarnation(), To: p.a.Incarnation()}), handshake.StepAsk)
			p.a.Receive(t.Context(), bob, relay, ask)
			time.Sleep(time.Millisecond)
		}
		p.sync(func() {
			if hellos != 0 {
				t.Errorf("%d hellos because of forged wishes of a peer that has keys", hellos)
			}
		})
		for n := range uint64(4000) {
			p.a.Receive(t.Context(), bob, relay, append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: n + 1}), handshake.StepAsk))
			p.a.Receive(t.Context(), bob, relay, append(wire.AppendHead(nil, wire.Head{Kind: wire.Data, From: n + 1}), make([]byte, 50)...))
			time.Sleep(time.Millisecond)
		}
		p.sync(func() {
			if hellos == 0 || hellos > 40 || back > 20 {
				t.Errorf("%d hellos in 4 s because of forged lives, %d of them back to where these came from", hellos, back)
			}
		})
		if st := p.a.lookup(bob); st.m.paths.LastIn() != direct {
			t.Errorf("the path of a stranger is the one that is answered on: %+v", st.m.paths.LastIn())
		}
	})
}
