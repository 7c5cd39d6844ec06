// Package buffers keeps byte slices that are used for a moment, by size. The whole process shares them: what one user has given
// back is taken by the next, whoever that is.
package buffers

import (
	"math/bits"
	"sync"
)

// Sizes of the slices that are kept: powers of two from 1 << smallest to 1 << largest. A smaller one costs the allocator less
// than the pool does, and a larger one is rare.
const (
	smallest = 10 // 1 KiB
	largest  = 21 // 2 MiB
)

// Buffer is a slice with room. Its user may append to B and replace it.
type Buffer struct{ B []byte }

// sizes are the process' buffers of each size, until the collector wants their memory.
var sizes [largest - smallest + 1]sync.Pool

// Get returns a buffer with room for size bytes or more and no content. One of more than 2 MiB is made for the caller and not
// kept.
func Get(size int) *Buffer {
	class := max(bits.Len(uint(max(size, 1)-1)), smallest)
	if class > largest {
		return &Buffer{B: make([]byte, 0, size)}
	}
	if b, ok := sizes[class-smallest].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, 0, 1<<class)}
}

// Put gives a buffer back. It, and what it held, must not be used any more. A buffer that has grown is kept by its new size.
func Put(b *Buffer) {
	class := bits.Len(uint(cap(b.B))) - 1 // the size that it has room for in any case
	if class < smallest || class > largest {
		return
	}
	b.B = b.B[:0]
	sizes[class-smallest].Put(b)
}
