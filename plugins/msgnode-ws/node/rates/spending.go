package rates

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
)

// Spending is what one connection may ask for. Only the connection's reader calls its methods.
type Spending struct {
	rates   *Rates
	ctx     context.Context // ends with the connection
	from    quota.Source    // by which it is counted, besides its runtime
	asker   quota.Asker
	budget  *rate.Limiter // what its requests may cost
	resume  time.Time     // when it is read from again; zero: now
	hasTurn bool          // its reader may compute
}

// NewSpending makes what a connection of an address may ask for. conn is the connection's number, by which it takes turns where
// addresses are not counted; ctx ends with it.
func NewSpending(ctx context.Context, r *Rates, from quota.Source, conn uint64) *Spending {
	return &Spending{rates: r, ctx: ctx, from: from, asker: quota.AskerOf(from, conn), budget: rate.NewLimiter(rate.Limit(r.limits.Requests), burst*r.limits.Requests)}
}

// Charge takes what a request to a function of the node costs from its connection and from its address. The refusal says
// when to try again; then nothing has been done, and nothing taken.
func (s *Spending) Charge(cost int) *refusal.Refusal {
	now := time.Now()
	own := s.budget.ReserveN(now, min(cost, s.budget.Burst()))
	if wait := own.DelayFrom(now); wait > 0 {
		own.CancelAt(now)
		return refusal.TryAgain(wait, "too many requests: this connection may ask for %d units of work a second", s.rates.limits.Requests)
	}
	if !s.from.IsValid() {
		return nil
	}
	if wait, ok := s.rates.requests.Take(s.from, cost, now); !ok {
		own.CancelAt(now)
		r := refusal.TryAgain(wait, "too many requests from your address: %d units of work a second", s.rates.limits.AddressRequests)
		r.Pause = refusal.CrowdPause
		return r
	}
	if wait := s.rates.paces.Reserve(s.from, cost, now); wait > leastWait {
		s.resume = now.Add(min(wait, mostWait))
	}
	return nil
}

// Strike charges something that should not have been sent: a flood of it is read slowly.
func (s *Spending) Strike() {
	if r := s.Charge(strikeCost); r != nil {
		s.Pause(r.Pause)
	}
}

// Pause waits, so that the connection is not read from, and gives its turn to others first.
func (s *Spending) Pause(d time.Duration) {
	if d > 0 {
		s.Finish()
		backoff.Sleep(s.ctx, d)
	}
}

// Due returns for how long the connection is not to be read from; only the first call after [Spending.Charge] does.
func (s *Spending) Due() time.Duration {
	if s.resume.IsZero() {
		return 0
	}
	wait := time.Until(s.resume)
	s.resume = time.Time{}
	return wait
}

// KeepPace pauses where the connection is not to be read from. It is called after each request.
func (s *Spending) KeepPace() { s.Pause(s.Due()) }

// Begin waits until the node may compute for the connection, if it may not already. Finish ends that, and may be called when it
// has ended.
func (s *Spending) Begin() error {
	if s.hasTurn {
		return nil
	}
	err := s.rates.Turns.Take(s.ctx, s.asker)
	s.hasTurn = err == nil
	return err
}

// Finish gives the turn to compute to the next one, if the connection has it.
func (s *Spending) Finish() {
	if s.hasTurn {
		s.hasTurn = false
		s.rates.Turns.Give()
	}
}
