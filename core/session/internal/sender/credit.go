package sender

import (
	"slices"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// outstanding is what was posted and is not known to be taken: a record of each message, without its text, in the order
// of their numbers. It is what credit is computed from, and what is in doubt when the remote runtime starts again. Nothing
// is kept of a destination that everything was taken of.
type outstanding struct {
	records []record // from first on in use; those that are done have no destination any more
	first   int
	live    int
	cost    int // of all
	to      map[wire.Key]*Destination
	last    *Destination   // what was looked up last
	spare   []*Destination // that are not in use
	ready   []*Destination // with posters that wait, in the order in which they are served
	waiting int            // those posters
	full    bool           // the ring has no room for the next of them: nobody may pass
}

// record is one message. Its text is in the ring while it is not acknowledged, and nowhere afterwards.
type record struct {
	number  uint64
	id      message.ID
	from    message.URL
	to      *Destination // nil: done
	cost    uint32
	kind    message.Type
	watched bool // somebody wants to know what becomes of it
}

// Destination is an address with messages on the way, or posters that wait.
type Destination struct {
	wire.Key
	cost, count int // of what is on the way
	waiters     []Waiter
}

// Waiter is a message that waits for credit, or for room in the ring.
type Waiter interface {
	Cost() int
}

// maxSpare is how many destinations are kept for the next ones.
const maxSpare = 64

// at finds or makes a destination.
func (o *outstanding) at(key wire.Key) *Destination {
	if o.last != nil && o.last.Key == key {
		return o.last
	}
	d := o.to[key]
	if d == nil {
		if n := len(o.spare); n > 0 {
			d, o.spare = o.spare[n-1], o.spare[:n-1]
		} else {
			d = &Destination{}
		}
		d.Key = key
		if o.to == nil {
			o.to = make(map[wire.Key]*Destination)
		}
		o.to[key] = d
	}
	o.last = d
	return d
}

// leave forgets a destination that has nothing on the way and nobody waiting for it.
func (o *outstanding) leave(d *Destination) {
	if d.count > 0 || len(d.waiters) > 0 {
		return
	}
	delete(o.to, d.Key)
	if o.last == d {
		o.last = nil
	}
	d.Key, d.waiters = wire.Key{}, nil
	if len(o.spare) < maxSpare {
		o.spare = append(o.spare, d)
	}
}

// credit tells whether a message of that cost may be on the way to d as well, of what the peer's inbox takes. Of three
// quarters of the inbox a destination may have half of what the others leave: one alone is not held back. That shrinks
// quickly when many are stuck, each with its share; so each may in any case have a 64th of what is left of the whole:
// hundreds that are stuck leave some for another one. One that has nothing on the way may send a message of any size,
// unless the inbox is nearly full.
func (o *outstanding) credit(d *Destination, cost, inbox int) bool {
	if d.cost == 0 {
		return o.cost+cost <= inbox || o.cost < inbox/2
	}
	return d.cost+cost <= max((inbox/4*3-o.cost)/2, (inbox-o.cost)/64)
}

// add notes a message. Numbers rise.
func (o *outstanding) add(d *Destination, r record) {
	if len(o.records) == cap(o.records) && o.live < len(o.records)-len(o.records)/4 {
		o.compact()
	}
	r.to = d
	o.records = append(o.records, r)
	o.live++
	o.cost += int(r.cost)
	d.cost += int(r.cost)
	d.count++
}

// compact drops the records that are done.
func (o *outstanding) compact() {
	kept := o.records[:0]
	for _, r := range o.records[o.first:] {
		if r.to != nil {
			kept = append(kept, r)
		}
	}
	clear(o.records[len(kept):])
	o.records, o.first = kept, 0
}

// from is the place of the first record with at least that number.
func (o *outstanding) from(number uint64) int {
	if o.first < len(o.records) && o.records[o.first].number >= number {
		return o.first
	}
	i, _ := slices.BinarySearchFunc(o.records[o.first:], number, func(r record, n uint64) int {
		switch {
		case r.number < n:
			return -1
		case r.number > n:
			return 1
		}
		return 0
	})
	return o.first + i
}

// done takes the messages with numbers from a up to b, b not included, off the records. each, which may be nil, gets
// every one before.
func (o *outstanding) done(a, b uint64, each func(*record)) {
	for i := o.from(a); i < len(o.records) && o.records[i].number < b; i++ {
		r := &o.records[i]
		d := r.to
		if d == nil {
			continue
		}
		if each != nil {
			each(r)
		}
		o.live--
		o.cost -= int(r.cost)
		d.cost -= int(r.cost)
		d.count--
		*r = record{number: r.number}
		if d.count == 0 {
			o.leave(d)
		}
	}
	if o.live == 0 {
		o.records, o.first = o.records[:0], 0
		return
	}
	for o.first < len(o.records) && o.records[o.first].to == nil {
		o.first++
	}
}

// rest gives back the memory of what is not needed now.
func (o *outstanding) rest() {
	if o.live == 0 {
		o.records, o.first = nil, 0
	}
	if len(o.to) == 0 {
		o.to, o.spare, o.last = nil, nil, nil
	}
}

// message is the message of a record without its body.
func (r *record) message() message.Message {
	return message.Message{ID: r.id, Type: r.kind, From: r.from, To: r.to.URL}
}
