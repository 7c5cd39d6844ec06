package handshake

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/protofly/protofly/core/session/internal/wire"
)

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
	few := Limits{Frames: 3, Bytes: 1 << 30}
	key := [32]byte{7}
	out, in := outKey{Key: key}, inKey{key: key}
	make1 := func() []byte {
		h := wire.Head{Kind: wire.Data, From: 1, To: 2}
		aead := out.Stamp(&h, few, 10)
		return Seal(aead, append(wire.AppendHead(nil, h), "text"...))
	}
	open1 := func(frame []byte) bool {
		h, err := wire.ParseHead(frame)
		if err != nil {
			t.Fatal(err)
		}
		aead := in.Of(h.Epoch)
		if aead == nil {
			return false
		}
		body, err := Unseal(aead, append([]byte(nil), frame...))
		return err == nil && string(body) == "text" && in.Take(h)
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
		if i == 5 && out.Epoch != 1 { // the other side has seen nothing yet
			t.Fatalf("epoch %d after %d frames", out.Epoch, i+1)
		}
		if i == 6 && out.Epoch != 1 {
			t.Fatal("went on without the other side")
		}
		if i > 5 {
			out.Seen = out.Epoch
		}
	}
	if out.Epoch != 3 {
		t.Fatalf("epoch %d after %d frames", out.Epoch, len(frames))
	}
	for _, i := range []int{0, 3, 2, 1, 7, 4, 5, 6, 8, 9, 11} { // 2 and 1 are overtaken by an epoch
		want := true
		if h, _ := wire.ParseHead(frames[i]); h.Epoch > in.Epoch+1 || h.Epoch+1 < in.Epoch {
			want = false
		}
		if got := open1(frames[i]); got != want {
			t.Fatalf("frame %d opened: %v", i, got)
		}
		if open1(frames[i]) {
			t.Fatalf("frame %d was taken twice", i)
		}
	}
	if in.Epoch != 3 || in.key != out.Key || in.key == key {
		t.Fatalf("receiver at epoch %d", in.Epoch)
	}
	if old := open1(frames[1]); old {
		t.Fatal("a frame of an old epoch was opened")
	}
}

// TestHeadIsSealed: every byte of a sealed frame counts, those of the head too.
func TestHeadIsSealed(t *testing.T) {
	out, in := outKey{}, inKey{}
	h := wire.Head{Kind: wire.Data, From: 1, To: 2}
	aead := out.Stamp(&h, Limits{1 << 20, 1 << 30}, 10)
	frame := Seal(aead, append(wire.AppendHead(nil, h), "text"...))
	for i := range frame {
		altered := bytes.Clone(frame)
		altered[i] ^= 1
		if _, err := Unseal(in.Of(0), altered); err == nil {
			t.Errorf("byte %d was altered and the frame opened", i)
		}
	}
	if body, err := Unseal(in.Of(0), frame); err != nil || string(body) != "text" {
		t.Errorf("%q, %v", body, err)
	}
}
