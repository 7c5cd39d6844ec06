package session

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// ring keeps the messages that are not acknowledged, in wire form (length, bytes) one behind the other, so that a
// frame is made with one copy. It grows by doubling; its owner bounds it by cost, and frees it when it is idle.
type ring struct {
	base, next uint64 // the numbers in it: base ≤ n < next
	head, tail uint64 // the bytes in it, by their position since the ring was made
	bytes      []byte // position p is at p & (len-1); the length is a power of two
	entries    []entry
	records    int // how many of the numbers are records of the session itself
	reported   int // what these are counted with
}

type entry struct {
	pos uint64        // where the message begins
	due time.Duration // when it expires; 0: never
	own bool          // a record of the session itself, not a message
}

func newRing() ring { return ring{base: 1, next: 1} }

func (r *ring) empty() bool { return r.base == r.next }

// unacked is how many messages are in the ring.
func (r *ring) unacked() int { return int(r.next-r.base) - r.records }

// cost is the memory that the messages in the ring are counted with.
func (r *ring) cost() int { return costOf(r.tail-r.head, r.next-r.base) }

func costOf(size, messages uint64) int { return int(size + messages*entryCost) }

// wireSize is what a message of size bytes takes in a ring or a frame.
func wireSize(size int) int { return size + (bits.Len32(uint32(size)|1)+6)/7 }

func (r *ring) entry(n uint64) *entry { return &r.entries[n&uint64(len(r.entries)-1)] }

// pos is where message n begins, or where the next one will.
func (r *ring) pos(n uint64) uint64 {
	if n == r.next {
		return r.tail
	}
	return r.entry(n).pos
}

// push adds a message and gives it the number r.next.
func (r *ring) push(m []byte, due time.Duration) { r.add(len(m), m, due) }

// pushRecord adds a record of the session itself, which stands behind the length 0.
func (r *ring) pushRecord(record []byte, due time.Duration) {
	r.add(0, record, due)
	r.entry(r.next - 1).own = true
	r.records++
	r.reported += costOf(r.tail-r.pos(r.next-1), 1)
}

func (r *ring) add(length int, m []byte, due time.Duration) {
	if used := r.next - r.base; used == uint64(len(r.entries)) {
		r.growEntries()
	}
	if need := int(r.tail-r.head) + wireSize(len(m)); need > len(r.bytes) {
		r.growBytes(need)
	}
	*r.entry(r.next) = entry{pos: r.tail, due: due}
	r.next++
	var size [binary.MaxVarintLen32]byte
	r.write(size[:binary.PutUvarint(size[:], uint64(length))])
	r.write(m)
}

func (r *ring) write(b []byte) {
	at := r.tail & uint64(len(r.bytes)-1)
	n := copy(r.bytes[at:], b)
	copy(r.bytes, b[n:])
	r.tail += uint64(len(b))
}

// read appends the bytes from position a to b.
func (r *ring) read(dst []byte, a, b uint64) []byte {
	if a == b {
		return dst
	}
	mask := uint64(len(r.bytes) - 1)
	if i, j := a&mask, b&mask; i < j {
		return append(dst, r.bytes[i:j]...)
	} else {
		return append(append(dst, r.bytes[i:]...), r.bytes[:j]...)
	}
}

// pack appends messages from number n on to dst: as many as are within size bytes, at least one. It returns the number
// after the last.
func (r *ring) pack(dst []byte, n uint64, size int) ([]byte, uint64) {
	start := r.pos(n)
	to := n + 1
	for to < r.next && r.pos(to+1)-start <= uint64(size) {
		to++
	}
	return r.read(dst, start, r.pos(to)), to
}

// release forgets all messages below n and returns what they were counted with.
func (r *ring) release(n uint64) int {
	pos := r.pos(n)
	cost := costOf(pos-r.head, n-r.base)
	for i := r.base; i < n && r.records > 0; i++ {
		if r.entry(i).own {
			r.records--
			r.reported -= costOf(r.pos(i+1)-r.entry(i).pos, 1)
		}
	}
	r.base, r.head = n, pos
	return cost
}

// own lists the records of the session itself from a to b, b not included.
func (r *ring) own(a, b uint64) (list [][]byte) {
	for ; a < b && r.records > 0; a++ {
		if r.entry(a).own {
			text := r.read(nil, r.pos(a), r.pos(a+1))
			list = append(list, text[1:])
		}
	}
	return list
}

// free gives the memory of an empty ring back.
func (r *ring) free() { r.bytes, r.entries = nil, nil }

func (r *ring) growEntries() {
	grown := make([]entry, max(16, 2*len(r.entries)))
	for n := r.base; n < r.next; n++ {
		grown[n&uint64(len(grown)-1)] = *r.entry(n)
	}
	r.entries = grown
}

func (r *ring) growBytes(need int) {
	grown := ring{tail: r.head, bytes: make([]byte, max(2048, 1<<bits.Len(uint(need-1))))}
	mask := uint64(len(r.bytes) - 1)
	if a, b := r.head&mask, r.tail&mask; r.head < r.tail && a < b {
		grown.write(r.bytes[a:b])
	} else if r.head < r.tail {
		grown.write(r.bytes[a:])
		grown.write(r.bytes[:b])
	}
	r.bytes = grown.bytes
}
