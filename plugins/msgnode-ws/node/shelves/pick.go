package shelves

// Candidate is an entry that an answer may have. Those of a lower round come first.
type Candidate[E any] struct {
	Key   string
	Value *E
	Size  int // of the entry in an answer, in bytes
	Round int
}

// Pick returns at most limit entries with a term. Each round has one entry of each site; a site's addresses take turns in that,
// an address's runtimes take turns, and of a runtime it is the newest entry that was not given yet.
func (s *Shelves[E]) Pick(term string, limit int) []Candidate[E] {
	shelf := s.of[term]
	if shelf == nil {
		return nil
	}
	list := make([]Candidate[E], 0, min(limit, shelf.entries))
	turns := make([]siteTurn[E], 0, min(limit, shelf.sites.count))
	for at := range shelf.sites.all {
		if len(turns) == limit {
			break
		}
		turns = append(turns, siteTurn[E]{turn[E]{runtimes: &at.value.runtimes}, at.value.turns()})
	}
	for round := 0; len(turns) > 0; round++ {
		left := turns[:0]
		for _, t := range turns {
			e := t.next()
			if e == nil {
				continue
			}
			if list = append(list, Candidate[E]{e.key, e.value, e.size, round}); len(list) == limit {
				return list
			}
			left = append(left, t)
		}
		turns = left
	}
	return list
}

// siteTurn goes through the entries of one site.
type siteTurn[E any] struct {
	turn[E]
	addresses *addressTurns[E] // of a site that has several; nil: it has one
}

func (t *siteTurn[E]) next() *standing[E] {
	if t.addresses != nil {
		return t.addresses.next()
	}
	return t.turn.next()
}

// addressTurns goes through the addresses of a site in turn.
type addressTurns[E any] struct {
	addresses *ranks[ranks[[]standing[E]]]
	at        position   // the next one that has not had a turn
	now       []*turn[E] // those that have had one, and may have more: those from i on are to come
	i         int
	then      []*turn[E] // the same for the next round
}

func (s *site[E]) turns() *addressTurns[E] {
	if s.addresses == nil {
		return nil
	}
	return &addressTurns[E]{addresses: s.addresses}
}

func (t *addressTurns[E]) next() *standing[E] {
	for {
		var one *turn[E]
		if address := t.addresses.next(&t.at); address != nil {
			one = &turn[E]{runtimes: &address.value}
		} else if t.i < len(t.now) {
			one = t.now[t.i]
			t.i++
		} else if len(t.then) == 0 {
			return nil
		} else {
			t.now, t.then, t.i = t.then, nil, 0
			continue
		}
		if e := one.next(); e != nil {
			t.then = append(t.then, one)
			return e
		}
	}
}

// turn goes through the entries of one address.
type turn[E any] struct {
	runtimes *ranks[[]standing[E]]
	at       position        // the next runtime, in the first layer
	layer    int             // how many entries of each runtime have been given
	now      [][]standing[E] // in later layers: the runtimes that have more, of which those from i on are to come
	i        int
	then     [][]standing[E] // the same for the next layer
}

func (t *turn[E]) next() *standing[E] {
	for {
		var list []standing[E]
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
