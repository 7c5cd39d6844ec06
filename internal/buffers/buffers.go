// Package buffers keeps byte slices that are used for a moment, by size. The whole process shares them: what one user has given
// back is taken by the next, whoever that is.
package buffers

import (
	"math/bits"
	"sync"
)

// Sizes of the slices that are kept: powers of two from 1 << smallest to 1 << largest. A smaller one costs the allocator less
// than a pool does, and a larger one is rare.
const (
	smallest = 10 // 1 KiB
	largest  = 22 // 4 MiB
)

// sizes are the process' buffers of each size, until the collector wants their memory.
var sizes [largest - smallest + 1]sync.Pool

// Get returns a slice with room for size bytes or more and no content. Its user may append to it and replace it. One of more
// than 4 MiB is made for the caller and not kept.
func Get(size int) *[]byte {
	class := max(bits.Len(uint(max(size, 1)-1)), smallest)
	if class <= largest {
		if b, ok := sizes[class-smallest].Get().(*[]byte); ok {
			return b
		}
		size = 1 << class
	}
	b := make([]byte, 0, size)
	return &b
}

// Put gives a slice back. It, and what it held, must not be used any more. One that has grown is kept by its new size.
func Put(b *[]byte) {
	class := bits.Len(uint(cap(*b))) - 1 // the size that it has room for in any case
	if class < smallest || class > largest {
		return
	}
	*b = (*b)[:0]
	sizes[class-smallest].Put(b)
}
