package link

import (
	"math/bits"
	"sync"
)

// store is the memory of the payloads that wait on a lane, in blocks that go back to a pool when everything in them was
// received: a stream of frames leaves nothing to the garbage collector, and an idle lane keeps nothing.
//
// What waits takes memory in proportion: the first block is small, and each further one twice as large while none was emptied.
type store struct {
	filling *block
	next    int // size of the next block; 0: firstBlock
}

// block is a piece of a store. The lane's mu guards it.
type block struct {
	used int // bytes
	live int // payloads in it
	data []byte
}

const (
	firstBlock = 2 << 10
	blockSize  = 64 << 10 // of all that follow in a stream
)

// blocks are pools of them, by the power of two that is their size.
var blocks [32]sync.Pool

// newBlock is a block for n bytes.
func newBlock(n int) *block {
	class := bits.Len(uint(max(n, firstBlock) - 1))
	if k, ok := blocks[class].Get().(*block); ok {
		k.used, k.live = 0, 0
		return k
	}
	return &block{data: make([]byte, 1<<class)}
}

// keep copies b, and says into which block.
func (s *store) keep(b []byte) ([]byte, *block) {
	k := s.filling
	if len(b) > blockSize {
		k = newBlock(len(b)) // of its own
	} else if k == nil || len(b) > len(k.data)-k.used {
		k = newBlock(max(s.next, len(b)))
		s.filling, s.next = k, min(2*len(k.data), blockSize)
	}
	at := k.used
	k.used += copy(k.data[at:], b)
	k.live++
	return k.data[at:k.used:k.used], k
}

// release gives back a payload in k.
func (s *store) release(k *block) {
	if k.live--; k.live > 0 {
		return
	}
	if k == s.filling {
		s.filling, s.next = nil, 0
	}
	blocks[bits.Len(uint(len(k.data)-1))].Put(k)
}

// arrived is a frame that waits on a lane.
type arrived struct {
	Frame
	block *block // that its payload is in; nil: none
}
