package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"math"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/session/internal/wire"
)

// Keys of one pair of incarnations: each direction has its own, and they are never those of another pair, because every
// handshake makes new ones. A nonce is the epoch and the counter in the frame's head. The counter of a direction never
// goes back and never begins again, not even with a new key, so that no nonce is used twice. Frames may be lost, doubled
// and overtake one another; a window of counters takes each of them once.
//
// A key is left after Limits.Frames frames or Limits.Bytes bytes, for the next epoch's, which Noise's REKEY
// makes of it; there is no way back. The sender goes on to an epoch only when the other side has said, in the field
// epoch, that it has seen the one before. So the receiver never has to look more than one epoch ahead.

// Suite is AES-GCM because every machine that carries much traffic has instructions for it: there it is more than twice
// as quick as ChaCha20-Poly1305.
var Suite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)

// Limits are how much one key seals. Both have to be set.
type Limits struct{ Frames, Bytes int }

// Keys of a pair. What they hand out may be used by several goroutines at a time.
type Keys struct {
	Out outKey
	In  inKey
}

// outKey closes frames.
type outKey struct {
	Key     [32]byte
	aead    cipher.AEAD // nil: made when it is needed
	Epoch   uint32
	counter uint64 // of the next frame
	frames  int    // sealed in this epoch
	bytes   int
	Seen    uint32 // the highest epoch that the other side has seen
}

// inKey opens frames.
type inKey struct {
	key    [32]byte // of epoch
	Epoch  uint32   // the highest seen
	now    cipher.AEAD
	before cipher.AEAD // of the epoch before, for frames that were overtaken
	next   cipher.AEAD // of the epoch after, where a frame has claimed to be of it
	window window
}

func NewKeys(out, in *noise.CipherState) *Keys {
	return &Keys{Out: outKey{Key: out.UnsafeKey()}, In: inKey{key: in.UnsafeKey()}}
}

func NewAEAD(key [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil // cannot be: the key has its size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil // cannot be: AES has GCM's block size
	}
	return aead
}

// rekeyed is the key of the next epoch: Noise's REKEY.
func rekeyed(key [32]byte) [32]byte {
	c := noise.UnsafeNewCipherState(Suite, key, 0)
	c.Rekey()
	return c.UnsafeKey()
}

// Rest gives back what can be made again.
func (k *Keys) Rest() { k.Out.aead, k.In.now, k.In.before, k.In.next = nil, nil, nil, nil }

// Stamp completes the head of the next frame of about size bytes and says what seals it.
func (k *outKey) Stamp(h *wire.Head, most Limits, size int) cipher.AEAD {
	if (k.frames >= most.Frames || k.bytes >= most.Bytes) && k.Seen == k.Epoch && k.Epoch < math.MaxUint32 {
		k.Key, k.aead = rekeyed(k.Key), nil
		k.Epoch++
		k.frames, k.bytes = 0, 0
	}
	if k.aead == nil {
		k.aead = NewAEAD(k.Key)
	}
	h.Epoch, h.Counter = k.Epoch, k.counter
	k.counter++
	k.frames++
	k.bytes += size
	return k.aead
}

// Seal closes a frame whose head is complete, in place, and appends tagSize bytes to it. The head is authenticated with
// the rest.
func Seal(aead cipher.AEAD, frame []byte) []byte {
	return aead.Seal(frame[:wire.SealedHead], frame[wire.HeadSize:wire.SealedHead], frame[wire.SealedHead:], frame[:wire.SealedHead])
}

// Unseal opens a frame in place.
func Unseal(aead cipher.AEAD, frame []byte) ([]byte, error) {
	return UnsealTo(frame[wire.SealedHead:wire.SealedHead], aead, frame)
}

// UnsealTo opens a frame and appends what is in it to b, which is not in the frame's memory, or begins where unseal has it.
func UnsealTo(b []byte, aead cipher.AEAD, frame []byte) ([]byte, error) {
	return aead.Open(b, frame[wire.HeadSize:wire.SealedHead], frame[wire.SealedHead:], frame[:wire.SealedHead])
}

// Of is what opens frames of that epoch; nil: nothing does. It changes nothing that matters.
func (k *inKey) Of(epoch uint32) cipher.AEAD {
	switch {
	case epoch == k.Epoch:
		if k.now == nil {
			k.now = NewAEAD(k.key)
		}
		return k.now
	case uint64(epoch)+1 == uint64(k.Epoch):
		return k.before
	case uint64(epoch) == uint64(k.Epoch)+1:
		if k.next == nil {
			k.next = NewAEAD(rekeyed(k.key))
		}
		return k.next
	}
	return nil
}

// Take notes a frame that was opened. It is false where it was taken before, or is too old to tell.
func (k *inKey) Take(h wire.Head) bool {
	if !k.window.take(h.Counter) {
		return false
	}
	if h.Epoch > k.Epoch {
		k.key = rekeyed(k.key)
		k.before, k.now, k.next = k.now, k.next, nil
		k.Epoch = h.Epoch
	}
	return true
}

// windowSize is how many frames may overtake another. What is older is dropped, as if it had been lost.
const windowSize = 1024

// window remembers which counters were taken.
type window struct {
	next uint64 // one above the highest
	bits [windowSize / 64]uint64
}

// take is true once for each counter.
func (w *window) take(n uint64) bool {
	if n+windowSize < w.next {
		return false
	}
	if n >= w.next {
		if n-w.next >= windowSize {
			w.bits = [windowSize / 64]uint64{}
		} else {
			for i := w.next; i < n; i++ {
				w.bits[i/64%(windowSize/64)] &^= 1 << (i % 64)
			}
			w.bits[n/64%(windowSize/64)] &^= 1 << (n % 64)
		}
		w.next = n + 1
	}
	word, bit := &w.bits[n/64%(windowSize/64)], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
