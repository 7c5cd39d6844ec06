// Package buffers pools byte slices for short use, by size. The whole process shares the pools.
package buffers

import (
	"math/bits"
	"sync"
)

// Sizes of the slices that are pooled: powers of two from 1 << smallest to 1 << largest. To allocate a smaller one costs less than
// a pool does, and larger ones are rare.
const (
	smallest = 10 // 1 KiB
	largest  = 22 // 4 MiB
)

// sizes has the pooled slices of each size, until the garbage collector frees them.
var sizes [largest - smallest + 1]sync.Pool

// Get returns an empty slice with a capacity of at least size bytes. The caller may append to it and replace it. A slice of more
// than 4 MiB is allocated and not pooled.
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

// Put gives a slice back. The caller must not use it or its memory any more. A slice that has grown is pooled by its new size.
func Put(b *[]byte) {
	class := bits.Len(uint(cap(*b))) - 1 // the largest pooled size that fits into it
	if class < smallest || class > largest {
		return
	}
	*b = (*b)[:0]
	sizes[class-smallest].Put(b)
}
