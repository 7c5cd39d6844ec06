package link

import "github.com/protofly/protofly/internal/buffers"

// store is the memory of the payloads that wait on a lane, in blocks whose memory goes back to a pool when everything in them
// was received. So a stream of frames leaves no garbage, and an idle lane holds no memory.
//
// The memory is in proportion to what waits: the first block is small, and each further one is twice as large while none was
// emptied.
type store struct {
	filling *block
	next    int    // size of the next block; 0: firstBlock
	spare   *block // blocks without memory, for reuse
}

// block is a piece of a store. The lane's mu guards it.
type block struct {
	used int // bytes
	live int // payloads in it
	data *[]byte
	next *block // in the list of the spare ones
}

const (
	firstBlock = 2 << 10
	blockSize  = 64 << 10 // of all that follow in a stream
)

// newBlock returns a block with room for n bytes.
func (s *store) newBlock(n int) *block {
	k := s.spare
	if k == nil {
		k = &block{}
	} else {
		s.spare, k.next = k.next, nil
	}
	k.data = buffers.Get(max(n, firstBlock))
	return k
}

// size is how many bytes a block holds.
func (k *block) size() int { return cap(*k.data) }

// keep copies b and returns the copy and the block that it is in.
func (s *store) keep(b []byte) ([]byte, *block) {
	k := s.filling
	if len(b) > blockSize {
		k = s.newBlock(len(b)) // a block of its own
	} else if k == nil || len(b) > k.size()-k.used {
		k = s.newBlock(max(s.next, len(b)))
		s.filling, s.next = k, min(2*k.size(), blockSize)
	}
	from := k.used
	k.used += len(b)
	kept := (*k.data)[from:k.used:k.used]
	copy(kept, b)
	k.live++
	return kept, k
}

// release notes that a payload in k is not used any more.
func (s *store) release(k *block) {
	if k.live--; k.live > 0 {
		return
	}
	if k == s.filling {
		s.filling, s.next = nil, 0
	}
	buffers.Put(k.data)
	*k = block{next: s.spare}
	s.spare = k
}

// arrived is a frame that waits on a lane.
type arrived struct {
	Frame
	block *block // that its payload is in; nil: none
}
