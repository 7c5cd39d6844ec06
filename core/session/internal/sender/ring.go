package sender

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// ring keeps the messages that are not acknowledged. The routing of messages that have the same, one behind the other, is
// kept once, and each of them in the short form in which it is in a frame (see Item), so that a run of them gets into a
// frame with one copy. It grows by doubling; its owner bounds it by cost, and frees it when it is idle.
type ring struct {
	base, next uint64 // the numbers in it: base ≤ n < next
	size       uint64 // of all messages that were ever in it, in binary form
	entries    []entry
	texts      byteQueue // of the messages and the records
	routings   byteQueue
	dated      uint64 // those below it have their time to expire
	records    int    // how many of the numbers are records of the session itself
	reported   int    // what these are counted with

	last   message.Message // the last one that was pushed, without ID and body
	latest uint64          // where its routing begins; it ends with the byteQueue
}

type entry struct {
	text    uint64        // where it begins
	routing uint64        // where its routing begins; it is below the next other one
	before  uint64        // what those before it have in binary form
	due     time.Duration // when it expires; 0: never, or see date
	extent  uint32        // of the routing, in bytes; 0: a record of the session itself, not a message
}

func newRing() ring { return ring{base: 1, next: 1} }

func (r *ring) empty() bool { return r.base == r.next }

// unacked is how many messages are in the ring.
func (r *ring) unacked() int { return int(r.next-r.base) - r.records }

// cost is the memory that the messages in the ring are counted with.
func (r *ring) cost() int { return r.costTo(r.next) }

// costTo is what those below number n are counted with.
func (r *ring) costTo(n uint64) int { return wire.Cost(r.before(n)-r.before(r.base), n-r.base) }

func (r *ring) entry(n uint64) *entry { return &r.entries[n&uint64(len(r.entries)-1)] }

// before is the size in binary form of all that were put in before number n.
func (r *ring) before(n uint64) uint64 {
	if n == r.next {
		return r.size
	}
	return r.entry(n).before
}

// text is where number n begins, or where the next one will.
func (r *ring) text(n uint64) uint64 {
	if n == r.next {
		return r.texts.tail
	}
	return r.entry(n).text
}

// push adds a message and gives it the number r.next. It keeps nothing of m's memory but its addresses.
func (r *ring) push(m *message.Message, due time.Duration) {
	if r.routings.tail == r.latest || !m.SameRouting(&r.last) {
		r.last = *m
		r.last.ID, r.last.Body = message.ID{}, nil
		var room [512]byte
		r.latest = r.routings.tail
		r.routings.write(m.AppendRouting(room[:0]), nil)
	}
	extent, own := r.routings.tail-r.latest, m.OwnSize()
	r.add(extent+uint64(own), uint32(extent), due)
	var room [96]byte
	r.texts.write(m.AppendOwnHead(binary.AppendUvarint(room[:0], uint64(own)<<1|wire.ShortForm)), m.Body)
}

// date has everything that was put in without a time expire then.
func (r *ring) date(due time.Duration) {
	for n := max(r.dated, r.base); n < r.next; n++ {
		if e := r.entry(n); e.due == 0 {
			e.due = due
		}
	}
	r.dated = r.next
}

// pushRecord adds a record of the session itself.
func (r *ring) pushRecord(record []byte, due time.Duration) {
	size := uint64(len(record) + 1)
	r.add(size, 0, due)
	r.texts.write([]byte{wire.RecordForm}, record)
	r.records++
	r.reported += wire.Cost(size, 1)
}

func (r *ring) add(size uint64, extent uint32, due time.Duration) {
	if used := r.next - r.base; used == uint64(len(r.entries)) {
		r.growEntries()
	}
	*r.entry(r.next) = entry{text: r.texts.tail, routing: r.latest, before: r.size, due: due, extent: extent}
	r.next++
	r.size += size
}

// ownSize is how many bytes a message has in its own part, of which the short form has so many.
func ownSize(short uint64) uint64 {
	head := uint64(1)
	for short-head >= 1<<(7*head-1) {
		head++
	}
	return short - head
}

// complete is the size of message n in the form that says everything.
func (r *ring) complete(n uint64) int {
	e := r.entry(n)
	text := r.text(n+1) - e.text
	if e.extent == 0 {
		return int(text)
	}
	all := uint64(e.extent) + ownSize(text)
	return int(all) + uvarintSize(all<<1) + uvarintSize(uint64(e.extent))
}

func uvarintSize(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// pack appends messages from number n on to dst: as many as are within size bytes, are not too much for a frame when
// everything is said of each of them, and belong to those that the peer has room for; at least one. It returns the
// number after the last.
func (r *ring) pack(dst []byte, n uint64, size int, room uint64) ([]byte, uint64) {
	from, written := n, 0
	first, routing := n, uint64(math.MaxUint64) // first: of those that are still to be copied, one behind the other
	for ; n < r.next; n++ {
		e := r.entry(n)
		after := r.text(n + 1)
		takes := int(after - e.text)
		short := e.extent == 0 || e.routing == routing
		if !short {
			takes = r.complete(n)
		}
		if n > from && (written+takes > size || r.before(n+1)-r.before(from) > wire.MaxMessage || uint64(r.costTo(n)) >= room) {
			break
		}
		written += takes
		if short {
			continue
		}
		dst = r.texts.read(dst, r.text(first), e.text)
		all := after - e.text
		own := ownSize(all)
		dst = binary.AppendUvarint(dst, (uint64(e.extent)+own)<<1)
		dst = binary.AppendUvarint(dst, uint64(e.extent))
		dst = r.routings.read(dst, e.routing, e.routing+uint64(e.extent))
		dst = r.texts.read(dst, after-own, after)
		first, routing = n+1, e.routing
	}
	dst = r.texts.read(dst, r.text(first), r.text(n))
	return dst, n
}

// release forgets all messages below n and returns what they were counted with.
func (r *ring) release(n uint64) int {
	cost := r.costTo(n)
	for i := r.base; i < n && r.records > 0; i++ {
		if r.entry(i).extent == 0 {
			r.records--
			r.reported -= wire.Cost(r.before(i+1)-r.before(i), 1)
		}
	}
	r.base, r.texts.head, r.routings.head = n, r.text(n), r.latest
	if n < r.next {
		r.routings.head = r.entry(n).routing
	}
	return cost
}

// own lists the records of the session itself from a to b, b not included.
func (r *ring) own(a, b uint64) (list [][]byte) {
	for ; a < b && r.records > 0; a++ {
		if r.entry(a).extent == 0 {
			text := r.texts.read(nil, r.text(a), r.text(a+1))
			list = append(list, text[1:])
		}
	}
	return list
}

// free gives the memory of an empty ring back.
func (r *ring) free() {
	r.entries, r.last, r.latest = nil, message.Message{}, r.routings.tail
	r.texts.bytes, r.routings.bytes, r.routings.head = nil, nil, r.routings.tail
}

func (r *ring) growEntries() {
	grown := make([]entry, max(16, 2*len(r.entries)))
	for n := r.base; n < r.next; n++ {
		grown[n&uint64(len(grown)-1)] = *r.entry(n)
	}
	r.entries = grown
}
