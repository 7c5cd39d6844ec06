package table

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
)

// Shards is how many parts a table has, for [Table.Each].
const Shards = 1 << shardBits

const shardBits = 8

// index is the hash table of one shard: open addressing with linear probing, in groups of eight places. Its size stays.
//
// A place is free, taken, or its item has gone. A byte in tags says which: free, gone, or eight bits of the hash, so that
// hardly any items of other addresses are looked at. An item is written before its tag, and never changed: a reader that has
// seen the tag may read the item at any time. A place that is not free never becomes free, so a search can end at a group
// with a free place.
type index[V any] struct {
	tags  []atomic.Uint64 // of one group each
	items []Item[V]
}

const (
	groupSize = 8
	free      = 0
	gone      = 1
)

// Item is an address with its value. It contains the text of its key, unless the key is long.
type Item[V any] struct {
	size  uint8 // of the text; 0: the key is a long one
	text  [maxText]byte
	Value V
	long  *message.URL
}

// maxText is the longest key that an item contains: most keys are names, or the 36 characters of a UUID, in a domain.
const maxText = 63

func newItem[V any](u message.URL, v V) (in Item[V]) {
	in.Value = v
	if len(u) > maxText || u == "" {
		in.long = new(u)
	} else {
		in.size = uint8(copy(in.text[:], u))
	}
	return in
}

func (in *Item[V]) is(u message.URL) bool {
	if in.size == 0 { // also of "", which has no text either
		return *in.long == u
	}
	return len(u) == int(in.size) && string(in.text[:in.size]) == string(u)
}

func (in *Item[V]) hash(seed maphash.Seed) uint64 {
	if in.size == 0 {
		return maphash.String(seed, string(*in.long))
	}
	return maphash.Bytes(seed, in.text[:in.size])
}

// Key is the address.
func (in *Item[V]) Key() message.URL {
	if in.size == 0 {
		return *in.long
	}
	return message.URL(in.text[:in.size])
}

// newIndex makes an index that n items fill to three fifths.
func newIndex[V any](n int) *index[V] {
	groups := max(1, (5*n+3*groupSize-1)/(3*groupSize))
	return &index[V]{make([]atomic.Uint64, groups), make([]Item[V], groups*groupSize)}
}

// crowded tells whether searches become long when used places are not free.
func (x *index[V]) crowded(used int) bool { return 8*used > 7*len(x.items) }

// deserted tells whether the index is much too large.
func (x *index[V]) deserted(live int) bool { return 8*live < len(x.items) && len(x.tags) > 1 }

// group returns the group where the search for a hash begins, next the one where it goes on.
func (x *index[V]) group(h uint64) int {
	high, _ := bits.Mul64(h<<shardBits, uint64(len(x.tags)))
	return int(high)
}

func (x *index[V]) next(group int) int {
	if group++; group < len(x.tags) {
		return group
	}
	return 0
}

// tag returns the tag of a hash. It is made of other bits than those that choose shard and group.
func tag(h uint64) uint64 { return max(h&0xff, gone+1) }

const eachByte = 0x01_01_01_01_01_01_01_01

// same sets the top bit of each of the eight bytes of tags that equals b.
func same(tags, b uint64) uint64 {
	d := tags ^ b*eachByte
	return ^(d&(0x7f*eachByte) + 0x7f*eachByte | d | 0x7f*eachByte)
}

// find returns the place of u, or -1.
func (x *index[V]) find(h uint64, u message.URL) int {
	for g := x.group(h); ; g = x.next(g) {
		tags := x.tags[g].Load()
		for m := same(tags, tag(h)); m != 0; m &= m - 1 {
			if at := g*groupSize + bits.TrailingZeros64(m)/8; x.items[at].is(u) {
				return at
			}
		}
		if same(tags, free) != 0 {
			return -1
		}
	}
}

// add puts an item into the first free place, which must exist. Only the writer calls it.
func (x *index[V]) add(h uint64, in *Item[V]) {
	for g := x.group(h); ; g = x.next(g) {
		if m := same(x.tags[g].Load(), free); m != 0 {
			n := bits.TrailingZeros64(m) / 8
			x.items[g*groupSize+n] = *in
			x.mark(g*groupSize+n, tag(h))
			return
		}
	}
}

// mark changes the tag of a place. Only the writer calls it.
func (x *index[V]) mark(at int, tag uint64) {
	g := at / groupSize
	var tags [groupSize]byte
	binary.LittleEndian.PutUint64(tags[:], x.tags[g].Load())
	tags[at%groupSize] = byte(tag)
	x.tags[g].Store(binary.LittleEndian.Uint64(tags[:]))
}

// each calls f for the items until it returns false. It begins at the given group.
func (x *index[V]) each(g int, f func(*Item[V]) bool) bool {
	for range x.tags {
		tags := x.tags[g].Load()
		for n := range groupSize {
			if tags>>(8*n)&0xff > gone && !f(&x.items[g*groupSize+n]) {
				return false
			}
		}
		g = x.next(g)
	}
	return true
}
