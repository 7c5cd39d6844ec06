package session

import (
	"math/bits"
	"sync"
)

// large keeps the buffers of frames with a message that is larger than a frame usually is, by their size: the next one
// finds one that fits.
type large struct {
	classes [7]sync.Pool // of 32 KiB, 64 KiB, … 2 MiB: a frame has no more
}

// smallestLarge is the size of the smallest buffers, as a power of two.
const smallestLarge = 15

// get is an empty buffer of at least so many bytes.
func (l *large) get(size int) []byte {
	class := max(0, bits.Len(uint(size-1))-smallestLarge)
	if class >= len(l.classes) {
		return make([]byte, 0, size)
	}
	if b, ok := l.classes[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<(class+smallestLarge))
}

// put gives a buffer back; it is not used any more.
func (l *large) put(b []byte) {
	class := bits.Len(uint(cap(b))) - 1 - smallestLarge
	if class >= 0 && class < len(l.classes) {
		b = b[:0]
		l.classes[class].Put(&b)
	}
}
