package session

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// person is a runtime that can prove its address.
type person struct {
	url message.URL
	key handshake.Key
}

// someone is a runtime of domain; the same seed makes the same one.
func someone(domain string, seed byte) person { return numbered(domain, seed, 0) }

// numbered is one of many.
func numbered(domain string, seed byte, number uint16) person {
	of := bytes.Repeat([]byte{seed}, ed25519.SeedSize)
	of[0], of[1] = of[0]^byte(number), of[1]^byte(number>>8)
	key := ed25519.NewKeyFromSeed(of)
	url := message.URL(message.SchemeRuntime + "://" + domain + "/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))
	static, err := noise.DH25519.GenerateKeypair(bytes.NewReader(bytes.Repeat([]byte{seed, 1}, handshake.KeySize/2)))
	if err != nil {
		panic(err)
	}
	return person{url: url, key: handshake.Key{Private: static.Private, Certificate: runtimekey.Certify(key, url, static.Public)}}
}

// seal closes what the runtime of that session could have sent next: a forged frame is as authentic as its own.
func (s *session) sealNext(k wire.Kind, f wire.Fields, messages []byte) []byte {
	s.lock()
	defer s.unlock()
	h := wire.Head{Kind: k, From: s.o.Incarnation, To: s.m.pair.Peer()}
	aead := s.m.pair.Keys().Out.Stamp(&h, s.o.keyLimits(), 0)
	return handshake.Seal(aead, append(f.Append(wire.AppendHead(nil, h)), messages...))
}

// read opens a frame that the runtime of that session has sent, wherever it is.
func (s *session) read(t *testing.T, frame []byte) (h wire.Head, f wire.Fields, messages []byte) {
	t.Helper()
	h, err := wire.ParseHead(frame)
	if err != nil {
		t.Fatal(err)
	}
	if h.Kind == wire.Hello {
		return h, f, nil
	}
	s.lock()
	defer s.unlock()
	if h.Epoch != s.m.pair.Keys().Out.Epoch {
		t.Fatalf("frame of epoch %d, keys of %d", h.Epoch, s.m.pair.Keys().Out.Epoch)
	}
	body, err := handshake.Unseal(handshake.NewAEAD(s.m.pair.Keys().Out.Key), append([]byte(nil), frame...))
	if err != nil {
		t.Fatal(err)
	}
	if f, messages, err = wire.ParseFields(body); err != nil {
		t.Fatal(err)
	}
	return h, f, messages
}

// marry pairs one with an imaginary peer of that incarnation and returns the peer's side of the keys.
func (s *session) marry(incarnation uint64) *handshake.Keys {
	var out, in [handshake.KeySize]byte
	out[0], in[0] = 1, 2
	state := func(k [handshake.KeySize]byte) *noise.CipherState {
		return noise.UnsafeNewCipherState(handshake.Suite, k, 0)
	}
	s.lock()
	defer s.unlock()
	got := handshake.Agreed{Incarnation: incarnation, Keys: handshake.NewKeys(state(out), state(in))}
	s.m.adopted(s.m.pair.Adopt(got, true, s.all.now()), s.all.now())
	return handshake.NewKeys(state(in), state(out))
}

// BenchmarkHandshake is both sides of a handshake.
func BenchmarkHandshake(b *testing.B) {
	side := func(who person) *handshake.Local {
		o := Options{Self: who.url, Key: who.key, Incarnation: 7}.withDefaults()
		l, err := handshake.NewLocal(o.Self, o.Incarnation, o.Key)
		if err != nil {
			b.Fatal(err)
		}
		return &l
	}
	x, y := side(aliceSelf), side(bobSelf)
	b.ReportAllocs()
	for b.Loop() {
		offer, err := x.Offer(alice, bob, handshake.NewSecret())
		if err != nil {
			b.Fatal(err)
		}
		answer, err := y.Answer(bob, alice, offer.First, handshake.NewSecret())
		if err != nil {
			b.Fatal(err)
		}
		got, err := offer.Second(answer.Second)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := answer.Third(got.Third); err != nil {
			b.Fatal(err)
		}
	}
}
