package quota

import (
	"container/list"
	"time"
)

// Connections counts the node's connections, from the moment that TCP has made them. A connection that has not shown its
// runtime waits: it has a place in a small pool, where the address with the most connections makes room for others. A
// connection that is attached has left the pool, so that waiting ones cannot keep it out; if no more may be attached, the
// address with the most makes room there as well. It does no I/O and has no lock.
type Connections struct {
	unproven  int // at most this many wait
	perSource int // connections of one source, waiting or not
	attached  int // at most this many are attached

	waiting, inside int
	sources         map[Source]*sourceConns
}

// sourceConns are the connections of one source.
type sourceConns struct {
	all      int
	waiting  list.List // of *ticket, the oldest first
	attached list.List // the same
}

// Ticket is one connection.
type Ticket struct {
	From  Source
	Since time.Time
	place *list.Element // in waiting, or in attached
	in    bool          // attached
	gone  bool
	Close func() // cuts the connection
	Kick  func() // ends an attached one in order
}

// settleTime is how long a connection keeps its place even if another one of its own source wants it.
const settleTime = 2 * time.Second

// Verdict is what becomes of a connection.
type Verdict int

const (
	Welcome  Verdict = iota
	Crowded          // its source has too many
	Overfull         // there is no room for anybody
	Hasty            // its source makes them too fast
)

// NewConnections counts no connections yet. The arguments are how many may wait, be of one source, and be attached.
func NewConnections(unproven, perSource, attached int) *Connections {
	return &Connections{unproven: unproven, perSource: perSource, attached: attached, sources: map[Source]*sourceConns{}}
}

// Held is how many connections wait, and how many are attached.
func (g *Connections) Held() (waiting, attached int) { return g.waiting, g.inside }

// Arrive gives a new connection a place among those that wait. evicted is the connection that makes room for it, to be closed.
func (g *Connections) Arrive(t *Ticket) (v Verdict, evicted *Ticket) {
	c := g.sources[t.From]
	if c != nil && t.From.IsValid() && c.all >= g.perSource {
		return Crowded, nil
	}
	if g.waiting >= g.unproven {
		own := 0
		if c != nil {
			own = c.waiting.Len()
		}
		if evicted = g.victim(own, t.Since); evicted == nil {
			return Overfull, nil
		}
		g.Leave(evicted)
	}
	if c = g.sources[t.From]; c == nil {
		c = &sourceConns{}
		g.sources[t.From] = c
	}
	c.all++
	t.place = c.waiting.PushBack(t)
	g.waiting++
	return Welcome, evicted
}

// victim returns the oldest waiting connection of the source with the most waiting ones, if that source has more than the
// newcomer's would then have, or if the connection has had time enough.
func (g *Connections) victim(own int, now time.Time) *Ticket {
	most, oldest := 0, (*Ticket)(nil)
	for _, c := range g.sources {
		if n := c.waiting.Len(); n > most {
			most, oldest = n, c.waiting.Front().Value.(*Ticket)
		} else if n > 0 && n == most {
			if t := c.waiting.Front().Value.(*Ticket); t.Since.Before(oldest.Since) {
				oldest = t
			}
		}
	}
	if oldest == nil || most <= own+1 && now.Sub(oldest.Since) < settleTime {
		return nil
	}
	return oldest
}

// Move counts t for another source, which a proxy has named.
func (g *Connections) Move(t *Ticket, from Source) Verdict {
	if t.gone || t.in || t.From == from {
		return Welcome
	}
	if c := g.sources[from]; c != nil && from.IsValid() && c.all >= g.perSource {
		return Crowded
	}
	g.drop(t)
	c := g.sources[from]
	if c == nil {
		c = &sourceConns{}
		g.sources[from] = c
	}
	t.From = from
	c.all++
	t.place = c.waiting.PushBack(t)
	g.waiting++
	return Welcome
}

// Full tells whether no connection of a source can be attached.
func (g *Connections) Full(from Source) bool {
	return g.inside >= g.attached && g.greatest(from) == nil
}

// greatest returns the connection that was attached last of the source with the most attached ones, if the other source with
// one more would still have fewer. The zero source makes room for nobody.
func (g *Connections) greatest(other Source) *Ticket {
	own := 0
	if c := g.sources[other]; c != nil {
		own = c.attached.Len()
	}
	var last *Ticket
	for from, c := range g.sources {
		if n := c.attached.Len(); from.IsValid() && n > own+1 {
			own, last = n-1, c.attached.Back().Value.(*Ticket)
		}
	}
	return last
}

// Enter attaches t, which waits no longer. replaces says that it takes the place of another connection, which is about to
// leave; evicted is a connection that makes room for it, to be kicked.
func (g *Connections) Enter(t *Ticket, replaces bool) (ok bool, evicted *Ticket) {
	if t.gone || t.in {
		return t.in && !t.gone, nil
	}
	if g.inside >= g.attached && !replaces {
		if evicted = g.greatest(t.From); evicted == nil {
			return false, nil
		}
		g.Leave(evicted)
	}
	g.drop(t)
	c := g.sources[t.From]
	if c == nil {
		c = &sourceConns{}
		g.sources[t.From] = c
	}
	c.all++
	t.place = c.attached.PushBack(t)
	t.in = true
	g.inside++
	return true, evicted
}

// Leave forgets a connection that has ended. It may be called more than once.
func (g *Connections) Leave(t *Ticket) {
	if t.gone {
		return
	}
	t.gone = true
	g.drop(t)
}

// drop takes t out of its source's sourceConns.
func (g *Connections) drop(t *Ticket) {
	c := g.sources[t.From]
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
		delete(g.sources, t.From)
	}
}
