package pairing

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const (
	ms   = time.Millisecond
	stub = message.URL("hyperty-runtime://a.example/alice/protostub/node")
)

var options = Options{ProbeMin: 250 * ms, ProbeMax: 2 * time.Second, Keys: handshake.Limits{Frames: 1 << 20, Bytes: 1 << 30}}

// person is a runtime that can prove its address.
type person struct {
	url message.URL
	key handshake.Key
}

func someone(domain string, seed byte) person {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	url := message.URL(message.SchemeRuntime + "://" + domain + "/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))
	static, err := noise.DH25519.GenerateKeypair(bytes.NewReader(bytes.Repeat([]byte{seed}, handshake.KeySize)))
	if err != nil {
		panic(err)
	}
	return person{url, handshake.Key{Private: static.Private, Certificate: runtimekey.Certify(key, url, static.Public)}}
}

// alice has the lower URL: she begins the handshakes.
var alice, bob = someone("a.example", 1), someone("b.example", 2)

func side(me, other person, incarnation uint64) *Pairing {
	l, err := handshake.NewLocal(me.url, incarnation, me.key)
	if err != nil {
		panic(err)
	}
	p := New(options, me.url, other.url, &l)
	return &p
}

type free bool

func (f free) Take(message.URL, time.Duration) bool { return bool(f) }

// carry gives the hellos that wait at one side to the other, and says what the last of them has changed.
func carry(from, to *Pairing, now time.Duration) (c Change, n int) {
	for {
		frame, ok := from.AppendHello(nil)
		if !ok {
			return c, n
		}
		h, err := wire.ParseHead(frame)
		if err != nil {
			panic(err)
		}
		c = to.Greeted(stub, h, frame[wire.HeadSize:], nil, free(true), now)
		n++
	}
}

// pair has two sides make a handshake, and says at which time it is over.
func pair(t *testing.T, a, b *Pairing, now time.Duration) {
	t.Helper()
	a.Tick(true, now)
	carry(a, b, now)
	if c, _ := carry(b, a, now); !c.Adopted {
		t.Fatalf("the second message: %+v", c)
	}
	if c, _ := carry(a, b, now); !c.Adopted {
		t.Fatalf("the third message: %+v", c)
	}
}

// Both sides begin at once and have the same keys; who begins is the one with the lower URL, whoever wants it.
func TestHandshake(t *testing.T) {
	for name, first := range map[string]int{"the initiator wants it": 0, "the responder wants it": 1} {
		t.Run(name, func(t *testing.T) {
			a, b := side(alice, bob, 5), side(bob, alice, 7)
			if first == 1 {
				b.Tick(true, 1)
				carry(b, a, 1)
				carry(a, b, 1)
				carry(b, a, 1)
				carry(a, b, 1)
			} else {
				pair(t, a, b, 1)
			}
			if a.Peer() != 7 || b.Peer() != 5 || a.PairedAt() != 1 || a.Opening() || b.Opening() {
				t.Fatalf("peers %d and %d", a.Peer(), b.Peer())
			}
			h, aead := a.Stamp(wire.Data, 10)
			frame := handshake.Seal(aead, append(wire.AppendHead(nil, h), "text"...))
			if text, err := handshake.Unseal(b.Keys().In.Of(h.Epoch), frame); err != nil || string(text) != "text" {
				t.Errorf("%q, %v", text, err)
			}
			if a.Seen(1) {
				t.Error("the peer has seen keys that there never were")
			}
		})
	}
}

// A hello is repeated, ever more seldom; when nothing waits to be sent that ends.
func TestRepeats(t *testing.T) {
	for name, waiting := range map[string]bool{"waiting": true, "idle": false} {
		t.Run(name, func(t *testing.T) {
			a := side(alice, bob, 5)
			a.Tick(true, 1)
			said := 0
			for now := time.Duration(1); now < time.Minute; now += 10 * ms {
				a.Tick(waiting, now)
				for {
					if _, ok := a.AppendHello(nil); !ok {
						break
					}
					said++
				}
			}
			if waiting && (said < 30 || said > 34) || !waiting && said != helloTries {
				t.Errorf("said %d times in a minute", said)
			}
			var due time.Duration
			a.Due(func(t time.Duration) { due = max(due, t) })
			if (due != 0) != waiting {
				t.Errorf("due at %v", due)
			}
		})
	}
}

// The third message is repeated until the peer has sealed a frame, and taken once.
func TestThirdMessage(t *testing.T) {
	a, b := side(alice, bob, 5), side(bob, alice, 7)
	pair(t, a, b, 1)
	a.Tick(false, 251*ms)
	if c, n := carry(a, b, 251*ms); n != 1 || c.Adopted || !c.Answer {
		t.Errorf("%d more, %+v", n, c)
	}
	a.Heard()
	if a.Tick(true, time.Minute); a.WantsHello() {
		t.Error("repeated though the peer has keys")
	}
}

// A life that was replaced never becomes the peer again.
func TestReplaced(t *testing.T) {
	b := side(bob, alice, 7)
	old := side(alice, bob, 5)
	pair(t, old, b, 1)
	pair(t, side(alice, bob, 6), b, time.Second)
	if b.Peer() != 6 {
		t.Fatalf("the peer is %d", b.Peer())
	}
	again := side(alice, bob, 5)
	again.Tick(true, time.Minute)
	if c, _ := carry(again, b, time.Minute); !c.Dropped || b.WantsHello() {
		t.Errorf("%+v", c)
	}
	if c := b.Strange(stub, 5, time.Minute); !c.Dropped || b.WantsHello() {
		t.Errorf("late frames of it do something: %+v", c)
	}
}

// Where the peer seems to have a new life messages are held back for a moment, and it is asked whether it lives.
func TestHolds(t *testing.T) {
	a, b := side(alice, bob, 5), side(bob, alice, 7)
	pair(t, a, b, 1)
	b.Heard()
	if c := a.Strange(stub, 9, time.Second); !c.Probe || !a.Holding() || !a.Opening() {
		t.Fatalf("%+v", c)
	}
	if a.Tick(true, time.Second+250*ms); a.Holding() {
		t.Error("held back for longer than a moment")
	}
	a.Strange(stub, 9, 10*time.Second)
	if a.Heard(); a.Holding() {
		t.Error("held back though the peer lives")
	}
}

// What anybody can have sent makes a side act ever more seldom, by each stub for itself.
func TestDisturbed(t *testing.T) {
	a, b := side(alice, bob, 5), side(bob, alice, 7)
	pair(t, a, b, 1)
	acts := map[message.URL]int{}
	for now := time.Second; now < 11*time.Second; now += ms {
		for _, by := range []message.URL{stub, stub + "2"} {
			if by != stub && now < 10*time.Second {
				continue
			}
			a.Strange(by, uint64(now), now)
			for {
				if _, ok := a.AppendHello(nil); !ok {
					break
				}
				acts[by]++
			}
		}
	}
	if acts[stub] < 5 || acts[stub] > 20 || acts[stub+"2"] == 0 {
		t.Errorf("acts %v in ten thousand", acts)
	}
}

// What comes too soon after another disturbance wakes nobody: nor does it where hellos wait, which were told of already.
func TestWakesForWhatIsNew(t *testing.T) {
	a, b := side(alice, bob, 5), side(bob, alice, 7)
	pair(t, a, b, 1)
	ask := wire.Head{Kind: wire.Hello, From: 9}
	wish := func(now time.Duration) bool {
		return a.Greeted(stub, ask, []byte{handshake.StepAsk}, nil, free(true), now).Wake
	}
	if !wish(time.Second) || !a.WantsHello() {
		t.Fatal("the first does nothing")
	}
	for n := range time.Duration(20) {
		if wish(time.Second+n*ms) || a.Strange(stub, 9, time.Second+n*ms).Wake || a.Unopened(stub, time.Second+n*ms).Wake {
			t.Fatalf("number %d, too soon after the first, wakes somebody", n)
		}
	}
	for a.WantsHello() {
		a.AppendHello(nil)
	}
	if !wish(2 * time.Second) {
		t.Error("nothing is done later either")
	}
}

// Handshakes are computed on only as far as that is allowed, by all and by each stub.
func TestBounded(t *testing.T) {
	b := side(bob, alice, 7)
	h := wire.Head{Kind: wire.Hello, From: 5}
	hello := func(allow Allowance, now time.Duration) Change {
		offer, err := side(alice, bob, 5).local.Offer(alice.url, bob.url, handshake.NewSecret())
		if err != nil {
			t.Fatal(err)
		}
		return b.Greeted(stub, h, append([]byte{handshake.StepFirst}, offer.First...), nil, allow, now)
	}
	if c := hello(free(false), 1); !c.Dropped || b.WantsHello() {
		t.Error("computed though it is not allowed")
	}
	computed := 0
	for range 3 * handshakes {
		if c := hello(free(true), 1); !c.Dropped {
			computed++
		}
	}
	if computed >= handshakes+1 || computed < handshakes-2 || len(b.answers) > maxAnswers || len(b.hellos) > maxHellos {
		t.Errorf("%d computed at once, %d answers and %d hellos are kept", computed, len(b.answers), len(b.hellos))
	}
}

// Somebody who is not whom he says is refused, which is told once in a while.
func TestImpostor(t *testing.T) {
	mallory := alice
	mallory.key.Certificate = bytes.Clone(alice.key.Certificate)
	mallory.key.Certificate[40] ^= 1
	l, _ := handshake.NewLocal(mallory.url, 5, mallory.key)
	b := side(bob, alice, 7)
	refused := 0
	for i := range 3 {
		p := New(options, alice.url, bob.url, &l)
		now := time.Duration(i) * time.Second
		p.Tick(true, now+1)
		carry(&p, b, now+1)
		carry(b, &p, now+1)
		if c, _ := carry(&p, b, now+1); c.Refused != nil {
			refused++
		}
	}
	if b.Peer() != 0 || refused != 1 {
		t.Errorf("the peer is %d; refused %d times", b.Peer(), refused)
	}
}
