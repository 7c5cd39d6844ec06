package node

import (
	"container/list"
	"time"
)

// gate counts the node's connections, from the moment that TCP has made them. One that has not shown who it is waits: it
// has a place in a small pool, where those of the address that has the most make room for others. One that is attached has
// left the pool, so that those who wait cannot keep it out; where no more may be attached, the address that has the most
// makes room there as well. It is told what happens and when, does no I/O and has no lock.
type gate struct {
	unproven  int // at most this many wait
	perSource int // connections of one source, waiting or not
	attached  int // at most this many are attached

	waiting, inside int
	sources         map[source]*sourceConns
}

// sourceConns are the connections of one source.
type sourceConns struct {
	all      int
	waiting  list.List // of *ticket, the oldest first
	attached list.List // the same
}

// ticket is one connection.
type ticket struct {
	from  source
	since time.Time
	place *list.Element // in waiting, or in attached
	in    bool          // attached
	gone  bool
	close func() // cuts the connection
	kick  func() // ends an attached one in order
}

// settleTime is how long a connection is left alone by others of its own source that want its place.
const settleTime = 2 * time.Second

// verdict is what becomes of a connection.
type verdict int

const (
	welcome  verdict = iota
	crowded          // its source has too many
	overfull         // there is no room for anybody
	hasty            // its source makes them too fast
)

func newGate(unproven, perSource, attached int) *gate {
	return &gate{unproven: unproven, perSource: perSource, attached: attached, sources: map[source]*sourceConns{}}
}

// arrive gives a new connection a place among those that wait. evicted is the one that makes room for it, to be closed.
func (g *gate) arrive(t *ticket) (v verdict, evicted *ticket) {
	c := g.sources[t.from]
	if c != nil && t.from.IsValid() && c.all >= g.perSource {
		return crowded, nil
	}
	if g.waiting >= g.unproven {
		own := 0
		if c != nil {
			own = c.waiting.Len()
		}
		if evicted = g.victim(own, t.since); evicted == nil {
			return overfull, nil
		}
		g.leave(evicted)
	}
	if c = g.sources[t.from]; c == nil {
		c = &sourceConns{}
		g.sources[t.from] = c
	}
	c.all++
	t.place = c.waiting.PushBack(t)
	g.waiting++
	return welcome, evicted
}

// victim is the oldest that waits of the source of which most wait: where that is more than one of the newcomer's own
// would be, or where it has had time enough.
func (g *gate) victim(own int, now time.Time) *ticket {
	most, oldest := 0, (*ticket)(nil)
	for _, c := range g.sources {
		if n := c.waiting.Len(); n > most {
			most, oldest = n, c.waiting.Front().Value.(*ticket)
		} else if n > 0 && n == most {
			if t := c.waiting.Front().Value.(*ticket); t.since.Before(oldest.since) {
				oldest = t
			}
		}
	}
	if oldest == nil || most <= own+1 && now.Sub(oldest.since) < settleTime {
		return nil
	}
	return oldest
}

// move counts t for another source: the one that a proxy has named.
func (g *gate) move(t *ticket, from source) verdict {
	if t.gone || t.in || t.from == from {
		return welcome
	}
	if c := g.sources[from]; c != nil && from.IsValid() && c.all >= g.perSource {
		return crowded
	}
	g.drop(t)
	c := g.sources[from]
	if c == nil {
		c = &sourceConns{}
		g.sources[from] = c
	}
	t.from = from
	c.all++
	t.place = c.waiting.PushBack(t)
	g.waiting++
	return welcome
}

// full tells whether no connection of a source can be attached.
func (g *gate) full(from source) bool { return g.inside >= g.attached && g.greatest(from) == nil }

// greatest is the last that was attached of the source that has the most attached, where another one with one more would
// still have fewer. Nobody in particular makes room for nobody.
func (g *gate) greatest(other source) *ticket {
	own := 0
	if c := g.sources[other]; c != nil {
		own = c.attached.Len()
	}
	var last *ticket
	for from, c := range g.sources {
		if n := c.attached.Len(); from.IsValid() && n > own+1 {
			own, last = n-1, c.attached.Back().Value.(*ticket)
		}
	}
	return last
}

// enter takes t out of those that wait: it is attached. replaces says that it takes the place of another one, which is
// about to leave; evicted is one that makes room for it, to be kicked.
func (g *gate) enter(t *ticket, replaces bool) (ok bool, evicted *ticket) {
	if t.gone || t.in {
		return t.in && !t.gone, nil
	}
	if g.inside >= g.attached && !replaces {
		if evicted = g.greatest(t.from); evicted == nil {
			return false, nil
		}
		g.leave(evicted)
	}
	g.drop(t)
	c := g.sources[t.from]
	if c == nil {
		c = &sourceConns{}
		g.sources[t.from] = c
	}
	c.all++
	t.place = c.attached.PushBack(t)
	t.in = true
	g.inside++
	return true, evicted
}

// leave forgets a connection that has ended. It may be called more than once.
func (g *gate) leave(t *ticket) {
	if t.gone {
		return
	}
	t.gone = true
	g.drop(t)
}

// drop takes t out of its source's sourceConns.
func (g *gate) drop(t *ticket) {
	c := g.sources[t.from]
	if c == nil {
		return
	}
	if t.in {
		c.attached.Remove(t.place)
		g.inside--
	} else {
		c.waiting.Remove(t.place)
		g.waiting--
	}
	t.place = nil
	if c.all--; c.all <= 0 {
		delete(g.sources, t.from)
	}
}
