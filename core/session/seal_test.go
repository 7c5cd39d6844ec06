package session

import (
	"bytes"
	"crypto/ed25519"
	"math/rand/v2"
	"testing"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// person is a runtime that can prove its address.
type person struct {
	url message.URL
	key Key
}

// someone is a runtime of domain; the same seed makes the same one.
func someone(domain string, seed byte) person {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	url := message.URL(message.SchemeRuntime + "://" + domain + "/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))
	static, err := noise.DH25519.GenerateKeypair(bytes.NewReader(bytes.Repeat([]byte{seed, 1}, keySize/2)))
	if err != nil {
		panic(err)
	}
	return person{url: url, key: Key{Private: static.Private, Certificate: proof.Certify(key, url, static.Public)}}
}

// seal closes what the runtime of that session could have sent next: a forged frame is as authentic as its own.
func (s *session) sealNext(k wire.Kind, f wire.Fields, messages []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := wire.Head{Kind: k, From: s.o.Incarnation, To: s.peer}
	aead := s.keys.out.stamp(&h, s.o, 0)
	return seal(aead, append(f.Append(wire.AppendHead(nil, h)), messages...))
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.Epoch != s.keys.out.epoch {
		t.Fatalf("frame of epoch %d, keys of %d", h.Epoch, s.keys.out.epoch)
	}
	body, err := unseal(newAEAD(s.keys.out.key), append([]byte(nil), frame...))
	if err != nil {
		t.Fatal(err)
	}
	if f, messages, err = wire.ParseFields(body); err != nil {
		t.Fatal(err)
	}
	return h, f, messages
}

// marry pairs one with an imaginary peer of that incarnation and returns the peer's side of the keys.
func (s *session) marry(incarnation uint64) *keys {
	var out, in [keySize]byte
	out[0], in[0] = 1, 2
	state := func(k [keySize]byte) *noise.CipherState { return noise.UnsafeNewCipherState(suite, k, 0) }
	s.mu.Lock()
	defer s.unlock()
	s.adopt(agreed{incarnation: incarnation, keys: newKeys(state(out), state(in))}, true, s.all.now())
	return newKeys(state(in), state(out))
}

// TestWindow compares the window with a set.
func TestWindow(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		var w window
		taken, top := map[uint64]bool{}, uint64(0)
		for range 2000 {
			var n uint64
			switch r.IntN(10) {
			case 0:
				n = top + uint64(r.IntN(3*windowSize))
			case 1:
				n = top - min(top, uint64(r.IntN(2*windowSize)))
			default:
				n = top + 40 - min(top+40, uint64(r.IntN(80)))
			}
			want := !taken[n] && n+windowSize > top
			if n+windowSize == top+1 {
				want = !taken[n]
			}
			if top == 0 && len(taken) == 0 {
				want = true
			}
			if got := w.take(n); got != want {
				t.Fatalf("seed %d: take(%d) is %v with the highest %d", seed, n, got, top)
			}
			if want {
				taken[n], top = true, max(top, n)
			}
		}
	}
}

// TestRekey: both directions change their keys, frames of the epoch before are opened after it, those of the one before
// that are not, and no nonce is used twice.
func TestRekey(t *testing.T) {
	o := Options{KeyFrames: 3}.withDefaults()
	key := [32]byte{7}
	out, in := outKey{key: key}, inKey{key: key}
	make1 := func() []byte {
		h := wire.Head{Kind: wire.Data, From: 1, To: 2}
		aead := out.stamp(&h, &o, 10)
		return seal(aead, append(wire.AppendHead(nil, h), "text"...))
	}
	open1 := func(frame []byte) bool {
		h, err := wire.ParseHead(frame)
		if err != nil {
			t.Fatal(err)
		}
		aead := in.of(h.Epoch)
		if aead == nil {
			return false
		}
		body, err := unseal(aead, append([]byte(nil), frame...))
		return err == nil && string(body) == "text" && in.take(h)
	}
	var frames [][]byte
	nonces := map[string]bool{}
	for i := range 12 {
		frames = append(frames, make1())
		h, _ := wire.ParseHead(frames[i])
		if nonces[string(frames[i][wire.HeadSize+4:wire.SealedHead])] || h.Counter != uint64(i) {
			t.Fatalf("frame %d has counter %d", i, h.Counter)
		}
		nonces[string(frames[i][wire.HeadSize+4:wire.SealedHead])] = true
		if i == 5 && out.epoch != 1 { // the other side has seen nothing yet
			t.Fatalf("epoch %d after %d frames", out.epoch, i+1)
		}
		if i == 6 && out.epoch != 1 {
			t.Fatal("went on without the other side")
		}
		if i > 5 {
			out.seen = out.epoch
		}
	}
	if out.epoch != 3 {
		t.Fatalf("epoch %d after %d frames", out.epoch, len(frames))
	}
	for _, i := range []int{0, 3, 2, 1, 7, 4, 5, 6, 8, 9, 11} { // 2 and 1 are overtaken by an epoch
		want := true
		if h, _ := wire.ParseHead(frames[i]); h.Epoch > in.epoch+1 || h.Epoch+1 < in.epoch {
			want = false
		}
		if got := open1(frames[i]); got != want {
			t.Fatalf("frame %d opened: %v", i, got)
		}
		if open1(frames[i]) {
			t.Fatalf("frame %d was taken twice", i)
		}
	}
	if in.epoch != 3 || in.key != out.key || in.key == key {
		t.Fatalf("receiver at epoch %d", in.epoch)
	}
	if old := open1(frames[1]); old {
		t.Fatal("a frame of an old epoch was opened")
	}
}

// TestHeadIsSealed: every byte of a sealed frame counts, those of the head too.
func TestHeadIsSealed(t *testing.T) {
	o := Options{}.withDefaults()
	out, in := outKey{}, inKey{}
	h := wire.Head{Kind: wire.Data, From: 1, To: 2}
	aead := out.stamp(&h, &o, 10)
	frame := seal(aead, append(wire.AppendHead(nil, h), "text"...))
	for i := range frame {
		altered := bytes.Clone(frame)
		altered[i] ^= 1
		if _, err := unseal(in.of(0), altered); err == nil {
			t.Errorf("byte %d was altered and the frame opened", i)
		}
	}
	if body, err := unseal(in.of(0), frame); err != nil || string(body) != "text" {
		t.Errorf("%q, %v", body, err)
	}
}

// BenchmarkHandshake is both sides of a handshake.
func BenchmarkHandshake(b *testing.B) {
	side := func(who person) *local {
		o := Options{Self: who.url, Key: who.key, Incarnation: 7}.withDefaults()
		l, err := newLocal(&o)
		if err != nil {
			b.Fatal(err)
		}
		return &l
	}
	x, y := side(aliceSelf), side(bobSelf)
	b.ReportAllocs()
	for b.Loop() {
		offer, err := x.offer(alice, bob, newSecret())
		if err != nil {
			b.Fatal(err)
		}
		answer, err := y.answer(bob, alice, offer.first, newSecret())
		if err != nil {
			b.Fatal(err)
		}
		got, err := offer.second(answer.second)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := answer.third(got.third); err != nil {
			b.Fatal(err)
		}
	}
}
