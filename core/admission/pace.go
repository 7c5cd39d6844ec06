package admission

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/sdk/message"
)

// bins is how many limits all names share, by a hash of the name that nobody outside can compute.
const bins = 512

// Rate is a rate limit: events per second, and a burst.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Pace limits the rate of events, for each name and for all names together. Make it with [NewPace]; nil sets no limit.
type Pace struct {
	each Rate
	all  *rate.Limiter
	seed maphash.Seed

	mu sync.Mutex
	by [bins]*rate.Limiter // nil: no name with this hash has come yet
}

// NewPace makes a pace of a rate for each name and one for all of them.
func NewPace(each, all Rate) *Pace {
	return &Pace{each: each, all: rate.NewLimiter(rate.Limit(all.PerSecond), all.Burst), seed: maphash.MakeSeed()}
}

func (p *Pace) of(name message.URL) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	bin := &p.by[maphash.String(p.seed, string(name))%bins]
	if *bin == nil {
		*bin = rate.NewLimiter(rate.Limit(p.each.PerSecond), p.each.Burst)
	}
	return *bin
}

// Wait waits until one more event is allowed for name. The error is ctx's, or says that ctx would end before.
func (p *Pace) Wait(ctx context.Context, name message.URL) error {
	if p == nil {
		return nil
	}
	if err := p.of(name).Wait(ctx); err != nil {
		return err
	}
	return p.all.Wait(ctx)
}

// Allow tells whether one more event is allowed for name at the time now, and counts it if so. It does not wait.
func (p *Pace) Allow(now time.Time, name message.URL) bool {
	return p == nil || p.of(name).AllowN(now, 1) && p.all.AllowN(now, 1)
}
