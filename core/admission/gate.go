package admission

import (
	"context"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Gate limits how many callers are in at once. The others wait for a place, or until their context ends. The zero value has no
// limit.
type Gate struct {
	Each int           // callers in at once for each name; 0: no limit
	All  chan struct{} // the places of all names together, taken after the name's own; gates may share it. nil: no limit
	Pace *Pace         // the rate at which callers that have a place of their name go on; nil: no limit

	mu sync.Mutex
	by map[message.URL]*places // the names of callers that are in or wait
}

// places are the places of one name.
type places struct {
	taken chan struct{}
	users int // that are in or wait; guarded by Gate.mu
}

// Enter waits for a place under name; leave gives it back. The error is ctx's.
func (g *Gate) Enter(ctx context.Context, name message.URL) (leave func(), err error) {
	one := g.of(name)
	if err := Take(ctx, one.taken); err != nil {
		g.drop(name, one)
		return nil, err
	}
	err = g.Pace.Wait(ctx, name)
	if err == nil {
		err = Take(ctx, g.All)
	}
	if err != nil {
		give(one.taken)
		g.drop(name, one)
		return nil, err
	}
	return func() { give(g.All); give(one.taken); g.drop(name, one) }, nil
}

func (g *Gate) of(name message.URL) *places {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.by[name]
	if one == nil {
		one = &places{}
		if g.Each > 0 {
			one.taken = make(chan struct{}, g.Each)
		}
		if g.by == nil {
			g.by = map[message.URL]*places{}
		}
		g.by[name] = one
	}
	one.users++
	return one
}

func (g *Gate) drop(name message.URL, one *places) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(g.by, name)
	}
}

// Take takes a place: it sends to the channel, whose capacity is the number of places. It waits while there is none, until ctx
// ends. The caller gives the place back by receiving from the channel. A nil channel has no limit.
func Take(ctx context.Context, places chan struct{}) error {
	if err := ctx.Err(); err != nil || places == nil {
		return err
	}
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func give(places chan struct{}) {
	if places != nil {
		<-places
	}
}
