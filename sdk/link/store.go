package link

import "sync"

// store is the memory of the payloads that wait on a lane, in blocks that go back to a pool when everything in them was
// received: a stream of frames leaves nothing to the garbage collector, and an idle lane keeps nothing.
type store struct {
	filling *block
}

// block is a piece of a store. The lane's mu guards it.
type block struct {
	used int // bytes
	live int // payloads in it
	data [blockSize]byte
}

const blockSize = 64 << 10

var blocks = sync.Pool{New: func() any { return new(block) }}

// keep copies b, and says into which block: nil where it does not fit one and is on its own.
func (s *store) keep(b []byte) ([]byte, *block) {
	if len(b) > blockSize {
		return append([]byte(nil), b...), nil
	}
	k := s.filling
	if k == nil || len(b) > blockSize-k.used {
		k, _ = blocks.Get().(*block)
		k.used, k.live = 0, 0
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
	blocks.Put(k)
}

// arrived is a frame that waits on a lane.
type arrived struct {
	Frame
	block *block // that its payload is in; nil: none
}
