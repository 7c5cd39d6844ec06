package admission

import (
	"context"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Gate lets in so many at once. Those that find no place wait, until their context ends. The zero value lets in everybody.
type Gate struct {
	Each int           // because of one name
	All  chan struct{} // places of all, taken after one's own; a gate may share them with another. nil: no limit
	Pace *Pace         // how fast one that has its own place goes on; nil: at once

	mu sync.Mutex
	by map[message.URL]*places // of those that are in or wait
}

// places are those of one name.
type places struct {
	taken chan struct{}
	users int // that are in or wait; guarded by Gate.mu
}

// Enter waits for a place because of name; leave gives it back. The error is ctx's.
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

// Take waits for one of as many places as the channel holds, for which nobody waits whose context has ended; nil has places for
// all. Whoever has taken one receives from the channel when it is over.
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
