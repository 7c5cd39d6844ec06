package node

import (
	"cmp"
	"slices"
	"strings"
)

// shelves are where the entries of the Domain Registry stand that several may have the same of: a user, a GUID, a name, a
// scheme. Anybody may enter anything for any user. So the entries with a term stand by whose they are: by the site and there by
// the address that they came from, there by runtime, and all in the order in which they came. [shelves.pick] takes from all of
// these in turn, so that many entries of one stranger keep nobody else's out of an answer, and what it costs depends on how
// many it takes and not on how many there are. The table's lock guards them.
type shelves struct{ of map[string]*shelf }

// shelf is the entries with one term.
type shelf struct {
	entries int
	sites   ranks[site]
}

// site is the entries of one site by runtime, and of each the newest last. Most sites are one address.
type site struct {
	runtimes  ranks[[]standing]
	addresses *ranks[ranks[[]standing]] // the same by address, of a site that has several; nil: it has one
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

// site is the network that the address is in, which may be one subscriber's: see [Node.sourceTerm].
func (r *registration) site() string {
	site, _, _ := strings.Cut(r.Source, sitesAddress)
	return cmp.Or(site, string(r.Owner))
}

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
	of := &s.sites.at(r.site(), since).value
	runtimes := &of.runtimes
	if r.site() != r.address() {
		if of.addresses == nil {
			of.addresses = &ranks[ranks[[]standing]]{}
		}
		runtimes = &of.addresses.at(r.address(), since).value
	}
	runtime := runtimes.at(string(r.Owner), since)
	list := runtime.value
	i := len(list)
	for i > 0 && list[i-1].value.since() > since {
		i--
	}
	runtime.value = slices.Insert(list, i, standing{key, r, r.size()})
}

// find is where the entries of r's address stand; address is nil where that is a site by itself.
func (s *shelf) find(r *registration) (at *rank[site], address *rank[ranks[[]standing]], runtimes *ranks[[]standing]) {
	at = s.sites.find(r.site())
	if at.value.addresses == nil {
		return at, nil, &at.value.runtimes
	}
	address = at.value.addresses.find(r.address())
	return at, address, &address.value
}

// remove returns how many entries are left.
func (s *shelf) remove(key string, r *registration) int {
	s.entries--
	site, address, runtimes := s.find(r)
	runtime := runtimes.find(string(r.Owner))
	runtime.value = slices.DeleteFunc(runtime.value, func(e standing) bool { return e.key == key })
	if len(runtime.value) > 0 {
		runtimes.move(runtime, runtime.value[0].value.since())
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

// follow has an item stand where the first of what is in it came; nil: nothing is, and it goes.
func follow[T, U any](r *ranks[T], item *rank[T], first *rank[U]) {
	if first == nil {
		r.remove(item)
	} else {
		r.move(item, first.since)
	}
}

func (s *shelf) swap(key string, r *registration) {
	_, _, runtimes := s.find(r)
	runtime := runtimes.find(string(r.Owner))
	for i := range runtime.value {
		if runtime.value[i].key == key {
			runtime.value[i] = standing{key, r, r.size()}
		}
	}
}
