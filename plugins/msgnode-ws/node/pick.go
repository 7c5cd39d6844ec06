package node

// candidate is an entry that an answer may have. Those of a lower round come first.
type candidate struct {
	standing
	round int
}

// pick gives entries with a term, at most so many: in each round one of each site, of a site in turn one of each of its
// addresses, and of an address in turn one of each of its runtimes, the newest that was not given yet.
func (s *shelves) pick(term string, limit int) []candidate {
	shelf := s.of[term]
	if shelf == nil {
		return nil
	}
	list := make([]candidate, 0, min(limit, shelf.entries))
	turns := make([]siteTurn, 0, min(limit, shelf.sites.count))
	for c := range shelf.sites.all {
		if len(turns) == limit {
			break
		}
		turns = append(turns, siteTurn{turn{runtimes: &c.value.runtimes}, c.value.turns()})
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

// siteTurn goes through the entries of one site.
type siteTurn struct {
	turn
	addresses *addressTurns // of a site that has several; nil: it has one
}

func (t *siteTurn) next() *standing {
	if t.addresses != nil {
		return t.addresses.next()
	}
	return t.turn.next()
}

// addressTurns goes through the addresses of a site in turn.
type addressTurns struct {
	addresses *ranks[ranks[[]standing]]
	at        place   // the next one that has not had a turn
	now       []*turn // those that have had one, and may have more: those from i on are to come
	i         int
	then      []*turn // the same for the next round
}

func (s *site) turns() *addressTurns {
	if s.addresses == nil {
		return nil
	}
	return &addressTurns{addresses: s.addresses}
}

func (t *addressTurns) next() *standing {
	for {
		var one *turn
		if address := t.addresses.next(&t.at); address != nil {
			one = &turn{runtimes: &address.value}
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
