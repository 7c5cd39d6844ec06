package shelves

import (
	"cmp"
	"slices"
)

// ranks is a list of items in the order in which they came, with an index by name. It is kept in chunks, so that adding or
// removing an item moves few others. The zero value is empty.
type ranks[T any] struct {
	chunks [][]*rank[T] // none is empty
	count  int
	named  map[string]*rank[T] // nil while there are few items; most lists have one
}

// rank is one item.
type rank[T any] struct {
	name  string
	since int64
	value T
}

const (
	maxChunk = 512 // items that a chunk has at most
	fewItems = 16  // items that are looked through for a name
)

func byRank[T any](a, b *rank[T]) int {
	return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.name, b.name))
}

// at returns the item with the name, and makes it if need be. Its time becomes since, if it was later.
func (r *ranks[T]) at(name string, since int64) *rank[T] {
	item := r.find(name)
	if item == nil {
		item = &rank[T]{name: name, since: since}
		r.insert(item)
		r.count++
		switch {
		case r.named != nil:
			r.named[name] = item
		case r.count > fewItems:
			r.named = make(map[string]*rank[T], r.count)
			for i := range r.all {
				r.named[i.name] = i
			}
		}
	} else if since < item.since {
		r.move(item, since)
	}
	return item
}

// find is the item with the name, or nil.
func (r *ranks[T]) find(name string) *rank[T] {
	if r.named != nil {
		return r.named[name]
	}
	for item := range r.all {
		if item.name == name {
			return item
		}
	}
	return nil
}

// first is the item that came first, or nil.
func (r *ranks[T]) first() *rank[T] {
	if len(r.chunks) == 0 {
		return nil
	}
	return r.chunks[0][0]
}

func (r *ranks[T]) remove(item *rank[T]) {
	delete(r.named, item.name)
	r.count--
	r.take(item)
}

// move puts an item where one that came at since belongs.
func (r *ranks[T]) move(item *rank[T], since int64) {
	if item.since == since {
		return
	}
	r.take(item)
	item.since = since
	r.insert(item)
}

// chunk returns the index of the chunk in which an item is, or belongs; len(r.chunks) if it belongs behind the last one.
func (r *ranks[T]) chunk(item *rank[T]) int {
	i, _ := slices.BinarySearchFunc(r.chunks, item, func(c []*rank[T], item *rank[T]) int { return byRank(c[len(c)-1], item) })
	return i
}

func (r *ranks[T]) insert(item *rank[T]) {
	if len(r.chunks) == 0 {
		r.chunks = [][]*rank[T]{{item}}
		return
	}
	c := min(r.chunk(item), len(r.chunks)-1)
	i, _ := slices.BinarySearchFunc(r.chunks[c], item, byRank)
	r.chunks[c] = slices.Insert(r.chunks[c], i, item)
	if full := r.chunks[c]; len(full) > maxChunk {
		r.chunks[c] = slices.Clip(full[:len(full)/2])
		r.chunks = slices.Insert(r.chunks, c+1, slices.Clone(full[len(full)/2:]))
	}
}

func (r *ranks[T]) take(item *rank[T]) {
	c := r.chunk(item)
	i, _ := slices.BinarySearchFunc(r.chunks[c], item, byRank)
	if r.chunks[c] = slices.Delete(r.chunks[c], i, i+1); len(r.chunks[c]) == 0 {
		r.chunks = slices.Delete(r.chunks, c, c+1)
	}
}

// position is a position in the list, for next.
type position struct{ chunk, item int }

// next returns the item at p, nil at the end, and moves p to the next one.
func (r *ranks[T]) next(p *position) *rank[T] {
	if p.chunk < len(r.chunks) && p.item == len(r.chunks[p.chunk]) {
		*p = position{chunk: p.chunk + 1}
	}
	if p.chunk >= len(r.chunks) {
		return nil
	}
	p.item++
	return r.chunks[p.chunk][p.item-1]
}

// all goes through the items in their order.
func (r *ranks[T]) all(yield func(*rank[T]) bool) {
	for p := (position{}); ; {
		if item := r.next(&p); item == nil || !yield(item) {
			return
		}
	}
}
