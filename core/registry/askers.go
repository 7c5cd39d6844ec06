package registry

import (
	"context"
	"hash/maphash"
	"sync"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/sdk/message"
)

// Whose an address is that a remote runtime uses has to be looked up, and a runtime can make addresses up, of a domain whose
// node never answers. So what remote runtimes cause is bounded: apart from what this one's applications look up, and each so
// that it has little of what the others have.
const (
	askerBins   = 512 // that remote runtimes share by the hash of their address, which nobody else can compute
	askerAtOnce = 32  // look-ups because of one

	// In a second, because of one and of all, and how many at once before that: a node allows a runtime 1000 and 10,000.
	askerRate, askerBurst   = 128, 1024
	askersRate, askersBurst = 500, 4096
)

// askers are the remote runtimes that have something looked up.
type askers struct {
	all  chan struct{} // a place for each look-up
	rate *rate.Limiter // of all

	mu   sync.Mutex
	seed maphash.Seed
	bins [askerBins]*asker
}

type asker struct {
	places chan struct{}
	rate   *rate.Limiter
}

func newAskers(places int) askers {
	return askers{all: make(chan struct{}, max(places, 1)), rate: rate.NewLimiter(askersRate, askersBurst)}
}

func (a *askers) of(remote message.URL) *asker {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seed == (maphash.Seed{}) {
		a.seed = maphash.MakeSeed()
	}
	bin := &a.bins[maphash.String(a.seed, string(remote))%askerBins]
	if *bin == nil {
		*bin = &asker{make(chan struct{}, askerAtOnce), rate.NewLimiter(askerRate, askerBurst)}
	}
	return *bin
}

// enter waits until something may be looked up because of the runtime remote; leave ends it. The error is ctx's.
func (a *askers) enter(ctx context.Context, remote message.URL) (leave func(), err error) {
	one := a.of(remote)
	if err := take(ctx, one.places); err != nil {
		return nil, err
	}
	if err = one.rate.Wait(ctx); err == nil {
		err = a.rate.Wait(ctx)
	}
	if err == nil {
		err = take(ctx, a.all)
	}
	if err != nil {
		<-one.places
		return nil, err
	}
	return func() { <-a.all; <-one.places }, nil
}

func take(ctx context.Context, places chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mayConfirm tells whether an address that remote has announced may be looked up for it; it does not wait.
func (a *askers) mayConfirm(remote message.URL) bool {
	return a.of(remote).rate.Allow() && a.rate.Allow()
}
