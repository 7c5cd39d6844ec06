package work

import "sync"

// blockSize is how many items a block holds.
const blockSize = 32

// Block has some items in their order, and the next block.
type Block[T any] struct {
	items [blockSize]T
	from  int // index of the first item; those before were taken
	n     int // index after the last item
	next  *Block[T]
}

// Items returns the items of the block. The caller may change them until it gives the block back.
func (b *Block[T]) Items() []T { return b.items[b.from:b.n] }

// Next returns the block behind b in a batch; nil: b is the last one.
func (b *Block[T]) Next() *Block[T] { return b.next }

// Memory is the pool of blocks that lanes of one type share. The zero value works. It is safe for use by many goroutines.
type Memory[T any] struct {
	blocks sync.Pool // of *Block[T], empty; internal/buffers has only bytes
	others sync.Pool // of *[numOthers]list[T], all empty; the same holds
}

func (m *Memory[T]) block() *Block[T] {
	if m != nil {
		if b, ok := m.blocks.Get().(*Block[T]); ok {
			return b
		}
	}
	return &Block[T]{}
}

// Done gives back a block whose items were processed, and returns the next block; nil: it was the last one.
func (m *Memory[T]) Done(b *Block[T]) (next *Block[T]) {
	clear(b.Items())
	next = b.next
	b.from, b.n, b.next = 0, 0, nil
	if m != nil {
		m.blocks.Put(b)
	}
	return next
}

// list is items in their order.
type list[T any] struct {
	first, last *Block[T]
	n           int      // items
	next        *list[T] // the list that has the next turn
}

// push adds an item if the last block has room, and tells whether it has.
func (l *list[T]) push(v *T) bool {
	b := l.last
	if b == nil || b.n == blockSize {
		return false
	}
	b.items[b.n] = *v
	b.n++
	l.n++
	return true
}

// grow adds an item in the new block b. first tells whether the list was empty.
func (l *list[T]) grow(b *Block[T], v *T) (first bool) {
	if first = l.last == nil; first {
		l.first = b
	} else {
		l.last.next = b
	}
	l.last = b
	l.push(v)
	return first
}

// pop removes the first item; there is one.
func (l *list[T]) pop(m *Memory[T]) (v T) {
	b := l.first
	v = b.items[b.from]
	clear(b.items[b.from : b.from+1])
	b.from++
	l.n--
	if b.from == b.n {
		if l.first = m.Done(b); l.first == nil {
			l.last = nil
		}
	}
	return v
}

// take removes the first blocks, at most the given number.
func (l *list[T]) take(blocks int) *Block[T] {
	first := l.first
	last := first
	n := last.n - last.from
	for b := 1; b < blocks && last.next != nil; b++ {
		last = last.next
		n += last.n - last.from
	}
	l.first, last.next = last.next, nil
	if l.first == nil {
		l.last = nil
	}
	l.n -= n
	return first
}
