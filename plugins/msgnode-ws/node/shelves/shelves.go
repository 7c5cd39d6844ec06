package shelves

import (
	"slices"
	"strings"
)

// Shelves index entries by terms that several of them may share: in the Domain Registry a user, a GUID, a name, a scheme.
// Anybody may enter anything for any user. So the entries with a term are grouped by their origin: by the site, in it by the
// address that they came from, in that by runtime, and all in the order in which they came. [shelves.pick] takes from all of
// these in turn, so that many entries of one stranger keep nobody else's out of an answer. Its cost depends on how many
// entries it takes, and not on how many there are. The caller of each method holds the lock of the entries.
type Shelves[E any] struct {
	place func(*E) Place
	kinds []string
	of    map[string]*shelf[E]
}

// Place says where an entry belongs on the shelves.
type Place struct {
	Terms   []string // by which it can be found, as <kind>:<text>; terms of other kinds than the shelves' are ignored
	Address string   // the address that it came from
	Site    string   // the network of the address, which may be one subscriber's; or the address itself
	Runtime string   // the runtime that owns it
	Since   int64    // since when Runtime has it
	Size    int      // of the entry in an answer, in bytes
}

// New makes shelves for the terms of some kinds. place says where an entry belongs; its result for an entry may not change.
func New[E any](place func(*E) Place, kinds ...string) *Shelves[E] {
	return &Shelves[E]{place: place, kinds: kinds, of: map[string]*shelf[E]{}}
}

// shelf is the entries with one term.
type shelf[E any] struct {
	entries int
	sites   ranks[site[E]]
}

// site has the entries of one site by runtime, the newest of each last. Most sites are one address.
type site[E any] struct {
	runtimes  ranks[[]standing[E]]
	addresses *ranks[ranks[[]standing[E]]] // the same by address, if the site has several; nil: it has one
}

// standing is an entry on its shelf.
type standing[E any] struct {
	key   string
	value *E
	since int64
	size  int
}

// Takes tells whether the shelves are for the term.
func (s *Shelves[E]) Takes(term string) bool {
	kind, _, _ := strings.Cut(term, ":")
	return slices.Contains(s.kinds, kind)
}

// Count is how many entries have a term.
func (s *Shelves[E]) Count(term string) int {
	if shelf := s.of[term]; shelf != nil {
		return shelf.entries
	}
	return 0
}

// Terms is how many terms have entries.
func (s *Shelves[E]) Terms() int { return len(s.of) }

// Replace removes an entry's old value and adds its new one. Either may be nil.
func (s *Shelves[E]) Replace(key string, old, value *E) {
	var before, after Place
	if old != nil {
		before = s.place(old)
	}
	if value != nil {
		after = s.place(value)
	}
	if old != nil && value != nil && before.Address == after.Address && before.Runtime == after.Runtime && before.Since == after.Since &&
		slices.Equal(before.Terms, after.Terms) { // the entry was only kept alive
		s.each(after.Terms, func(term string) { s.of[term].swap(key, value, &after) })
		return
	}
	if old != nil {
		s.each(before.Terms, func(term string) {
			if shelf := s.of[term]; shelf.remove(key, &before) == 0 {
				delete(s.of, term)
			}
		})
	}
	if value != nil {
		s.each(after.Terms, func(term string) {
			if s.of[term] == nil {
				s.of[term] = &shelf[E]{}
			}
			s.of[term].add(key, value, &after)
		})
	}
}

// each calls f for every one of an entry's terms that has a shelf, once.
func (s *Shelves[E]) each(terms []string, f func(term string)) {
	for i, term := range terms {
		if s.Takes(term) && slices.Index(terms, term) == i {
			f(term)
		}
	}
}

func (s *shelf[E]) add(key string, value *E, p *Place) {
	s.entries++
	of := &s.sites.at(p.Site, p.Since).value
	runtimes := &of.runtimes
	if p.Site != p.Address {
		if of.addresses == nil {
			of.addresses = &ranks[ranks[[]standing[E]]]{}
		}
		runtimes = &of.addresses.at(p.Address, p.Since).value
	}
	runtime := runtimes.at(p.Runtime, p.Since)
	list := runtime.value
	i := len(list)
	for i > 0 && list[i-1].since > p.Since {
		i--
	}
	runtime.value = slices.Insert(list, i, standing[E]{key, value, p.Since, p.Size})
}

// find returns the groups of a place's entries; address is nil if the site has one address only.
func (s *shelf[E]) find(p *Place) (at *rank[site[E]], address *rank[ranks[[]standing[E]]], runtimes *ranks[[]standing[E]]) {
	at = s.sites.find(p.Site)
	if at.value.addresses == nil {
		return at, nil, &at.value.runtimes
	}
	address = at.value.addresses.find(p.Address)
	return at, address, &address.value
}

// remove returns how many entries are left.
func (s *shelf[E]) remove(key string, p *Place) int {
	s.entries--
	site, address, runtimes := s.find(p)
	runtime := runtimes.find(p.Runtime)
	runtime.value = slices.DeleteFunc(runtime.value, func(e standing[E]) bool { return e.key == key })
	if len(runtime.value) > 0 {
		runtimes.move(runtime, runtime.value[0].since)
	} else {
		runtimes.remove(runtime)
	}
	if address == nil {
		follow(&s.sites, site, runtimes.first())
	} else {
		follow(site.value.addresses, address, runtimes.first())
		follow(&s.sites, site, site.value.addresses.first())
	}
	return s.entries
}

// follow moves an item to the time of the first item in it, or removes it if first is nil: then it is empty.
func follow[T, U any](r *ranks[T], item *rank[T], first *rank[U]) {
	if first == nil {
		r.remove(item)
	} else {
		r.move(item, first.since)
	}
}

func (s *shelf[E]) swap(key string, value *E, p *Place) {
	_, _, runtimes := s.find(p)
	runtime := runtimes.find(p.Runtime)
	for i := range runtime.value {
		if runtime.value[i].key == key {
			runtime.value[i] = standing[E]{key, value, p.Since, p.Size}
		}
	}
}
