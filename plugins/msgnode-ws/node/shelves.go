package node

import (
	"cmp"
	"slices"
	"strings"
)

// shelves are where the entries of the Domain Registry stand that several may have the same of: a user, a GUID, a name, a
// scheme. Anybody may enter anything for any user. So the entries with a term stand by whose they are: by the address that
// they came from, there by runtime, and both in the order in which they came. [shelves.pick] takes from all of these in
// turn, so that many entries of one stranger keep nobody else's out of an answer, and what it costs depends on how
// many it takes and not on how many there are. The table's lock guards them.
type shelves struct{ of map[string]*shelf }

// shelf is the entries with one term.
type shelf struct {
	entries   int
	addresses ranks[ranks[[]standing]] // then runtimes, then their entries, the newest last
}

// standing is an entry on its shelf.
type standing struct {
	key   string
	value *registration
	size  int // of the entry in an answer: see [registration.size]
}

// shelved tells whether a term is one that shelves are for.
func shelved(term string) bool {
	kind, _, _ := strings.Cut(term, ":")
	return kind == "scheme" || kind == "user" || kind == "idp" || kind == "name"
}

// address is whose place an entry takes first: of the address that it came from, or, where that stands for many, its own
// runtime's.
func (r *registration) address() string { return cmp.Or(r.Source, string(r.Owner)) }

// replace takes an entry's old value away and enters its new one. Either may be nil.
func (s *shelves) replace(key string, old, value *registration) {
	if old != nil && value != nil && old.address() == value.address() && old.Owner == value.Owner && old.since() == value.since() &&
		slices.Equal(old.terms(), value.terms()) { // a sign of life
		s.each(value, func(term string) { s.of[term].swap(key, value) })
		return
	}
	if old != nil {
		s.each(old, func(term string) {
			if shelf := s.of[term]; shelf.remove(key, old) == 0 {
				delete(s.of, term)
			}
		})
	}
	if value != nil {
		s.each(value, func(term string) {
			if s.of == nil {
				s.of = map[string]*shelf{}
			}
			if s.of[term] == nil {
				s.of[term] = &shelf{}
			}
			s.of[term].add(key, value)
		})
	}
}

// each calls f for every term of an entry that has a shelf, once.
func (s *shelves) each(r *registration, f func(term string)) {
	terms := r.terms()
	for i, term := range terms {
		if shelved(term) && slices.Index(terms, term) == i {
			f(term)
		}
	}
}

func (s *shelf) add(key string, r *registration) {
	s.entries++
	since := r.since()
	address := s.addresses.at(r.address(), since)
	runtime := address.value.at(string(r.Owner), since)
	list := runtime.value
	i := len(list)
	for i > 0 && list[i-1].value.since() > since {
		i--
	}
	runtime.value = slices.Insert(list, i, standing{key, r, r.size()})
}

// remove returns how many entries are left.
func (s *shelf) remove(key string, r *registration) int {
	s.entries--
	address := s.addresses.find(r.address())
	runtime := address.value.find(string(r.Owner))
	runtime.value = slices.DeleteFunc(runtime.value, func(e standing) bool { return e.key == key })
	if len(runtime.value) > 0 {
		address.value.move(runtime, runtime.value[0].value.since())
	} else {
		address.value.remove(runtime)
	}
	if first := address.value.first(); first != nil {
		s.addresses.move(address, first.since)
	} else {
		s.addresses.remove(address)
	}
	return s.entries
}

func (s *shelf) swap(key string, r *registration) {
	runtime := s.addresses.find(r.address()).value.find(string(r.Owner))
	for i := range runtime.value {
		if runtime.value[i].key == key {
			runtime.value[i] = standing{key, r, r.size()}
		}
	}
}

// candidate is an entry that an answer may have. Those of a lower round come first.
type candidate struct {
	standing
	round int
}

// pick gives entries with a term, at most so many: in each round one of each address, and of an address in turn one of each
// of its runtimes, the newest that was not given yet.
func (s *shelves) pick(term string, limit int) []candidate {
	shelf := s.of[term]
	if shelf == nil {
		return nil
	}
	list := make([]candidate, 0, min(limit, shelf.entries))
	turns := make([]turn, 0, min(limit, shelf.addresses.count))
	for c := range shelf.addresses.all {
		if len(turns) == limit {
			break
		}
		turns = append(turns, turn{runtimes: &c.value})
	}
	for round := 0; len(turns) > 0; round++ {
		left := turns[:0]
		for _, t := range turns {
			e := t.next()
			if e == nil {
				continue
			}
			if list = append(list, candidate{*e, round}); len(list) == limit {
				return list
			}
			left = append(left, t)
		}
		turns = left
	}
	return list
}

// turn goes through the entries of one address.
type turn struct {
	runtimes *ranks[[]standing]
	at       place        // the next runtime, in the first layer
	layer    int          // how many entries of each runtime have been given
	now      [][]standing // in later layers: the runtimes that have more, of which those from i on are to come
	i        int
	then     [][]standing // the same for the next layer
}

func (t *turn) next() *standing {
	for {
		var list []standing
		if t.layer == 0 {
			runtime := t.runtimes.next(&t.at)
			if runtime != nil {
				list = runtime.value
			}
		} else if t.i < len(t.now) {
			list = t.now[t.i]
			t.i++
		}
		switch {
		case list != nil:
			if len(list) > t.layer+1 {
				t.then = append(t.then, list)
			}
			return &list[len(list)-1-t.layer]
		case len(t.then) == 0:
			return nil
		}
		t.now, t.then, t.i = t.then, nil, 0
		t.layer++
	}
}
