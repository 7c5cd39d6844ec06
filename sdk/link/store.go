package link

import (
	"math/bits"
	"sync"
)

// store is the memory of the payloads that wait on a lane, in blocks that go back to a pool when everything in them was
// received: a stream of frames leaves nothing to the garbage collector, and an idle lane keeps nothing.
type store struct {
	filling *block
}

// block is a piece of a store. The lane's mu guards it.
type block struct {
	used int // bytes
	live int // payloads in it
	data []byte
}

const blockSize = 64 << 10

// blocks are pools of them, by the power of two that is their size.
var blocks [32]sync.Pool

// newBlock is a block for n bytes.
func newBlock(n int) *block {
	class := bits.Len(uint(max(n, blockSize) - 1))
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
	} else if k == nil || len(b) > blockSize-k.used {
		k = newBlock(blockSize)
		s.filling = k
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
		s.filling = nil
	}
	blocks[bits.Len(uint(len(k.data)-1))].Put(k)
}

// arrived is a frame that waits on a lane.
type arrived struct {
	Frame
	block *block // that its payload is in; nil: none
}
