package node

import (
	"container/list"
	"time"
)

// gate counts the node's connections, from the moment that TCP has made them. One that has not shown who it is waits: it
// has a place in a small pool, where those of the address that has the most make room for others. One that is attached has
// left the pool, so that those who wait cannot keep it out. It is told what happens and when, does no I/O and has no lock.
type gate struct {
	unproven  int // at most this many wait
	perSource int // connections of one source, waiting or not
	attached  int // at most this many are attached

	waiting, inside int
	sources         map[source]*sourceConns
}

// sourceConns are the connections of one source.
type sourceConns struct {
	all     int
	waiting list.List // of *ticket, the oldest first
}

// ticket is one connection.
type ticket struct {
	from  source
	since time.Time
	place *list.Element // in the sourceConns's waiting; nil: it waits no longer
	in    bool          // attached
	gone  bool
	close func() // cuts the connection
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
	if t.gone || t.from == from {
		return welcome
	}
	if c := g.sources[from]; c != nil && from.IsValid() && c.all >= g.perSource {
		return crowded
	}
	waits := t.place != nil
	g.drop(t)
	c := g.sources[from]
	if c == nil {
		c = &sourceConns{}
		g.sources[from] = c
	}
	t.from = from
	c.all++
	if waits {
		t.place = c.waiting.PushBack(t)
		g.waiting++
	}
	return welcome
}

// full tells whether nobody more can be attached.
func (g *gate) full() bool { return g.inside >= g.attached }

// enter takes t out of those that wait: it is attached. replaces says that it takes the place of another one, which is
// about to leave.
func (g *gate) enter(t *ticket, replaces bool) bool {
	if t.gone {
		return false
	}
	if t.in {
		return true
	}
	if g.full() && !replaces {
		return false
	}
	if t.place != nil {
		g.sources[t.from].waiting.Remove(t.place)
		t.place = nil
		g.waiting--
	}
	t.in = true
	g.inside++
	return true
}

// leave forgets a connection that has ended. It may be called more than once.
func (g *gate) leave(t *ticket) {
	if t.gone {
		return
	}
	t.gone = true
	g.drop(t)
	if t.in {
		g.inside--
	}
}

// drop takes t out of its source's sourceConns.
func (g *gate) drop(t *ticket) {
	c := g.sources[t.from]
	if c == nil {
		return
	}
	if t.place != nil {
		c.waiting.Remove(t.place)
		t.place = nil
		g.waiting--
	}
	if c.all--; c.all <= 0 {
		delete(g.sources, t.from)
	}
}
