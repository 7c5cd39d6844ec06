// Package answers computes and sends what strangers are answered, and peers that came by another path than their session's.
//
// Each path has a queue, and a goroutine that ends when nothing waits. So whoever brings frames waits for nobody, and what
// others send behind them does not wait either.
package answers

import (
	"context"
	"math"
	"time"

	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

const (
	MaxPaths  = 128              // that have something to do, relays and direct ones apart: the peers of these may read nothing
	MaxOf     = 64               // answers that wait for one path; what is more is dropped: a stranger asks again
	SendTime  = 2 * time.Second  // that a path may take for one
	Spell     = time.Millisecond // that is computed in one go; then others have the processor for as long
	maxPause  = 10 * Spell       // that is, where the processor was others' meanwhile
	anyAmount = math.MaxInt
)

// Options are what [New] needs.
type Options struct {
	Begin func(func(ctx context.Context)) // runs a goroutine that somebody waits for; see work.Queue
	Send  func(ctx context.Context, path paths.Path, remote message.URL, frames ...[]byte) error
}

// Answers are the queues of all paths. It is safe for use by many goroutines.
type Answers struct {
	o               Options
	direct, relayed work.Queue[paths.Path, answer]
}

// answer is what waits for a path.
type answer struct {
	remote message.URL
	frame  []byte
	make   func() []byte // computes the frame, nil: none
}

// New makes queues that are empty.
func New(o Options) *Answers {
	a := &Answers{o: o}
	for _, q := range []*work.Queue[paths.Path, answer]{&a.direct, &a.relayed} {
		q.Begin, q.Worker = o.Begin, a.work
		q.Limits = work.Limits{Keys: MaxPaths, Items: MaxOf, Bytes: anyAmount, AllBytes: anyAmount, Overhead: 1}
	}
	return a
}

// Send sends one frame. It does not wait; where too much waits for the path the frame is dropped.
func (a *Answers) Send(path paths.Path, remote message.URL, frame []byte) {
	a.add(path, answer{remote: remote, frame: frame})
}

// Compute is Send for a frame that f makes.
func (a *Answers) Compute(path paths.Path, remote message.URL, f func() (frame []byte)) {
	a.add(path, answer{remote: remote, make: f})
}

// Busy tells whether something waits, or is being computed or sent.
func (a *Answers) Busy() bool { return a.direct.Busy() || a.relayed.Busy() }

func (a *Answers) add(path paths.Path, one answer) {
	q := &a.relayed
	if path.Direct {
		q = &a.direct
	}
	q.Do(path, 0, one)
}

// work answers by one path.
func (a *Answers) work(ctx context.Context, path paths.Path, next func() (answer, bool)) {
	var spent time.Duration
	lost := false // the path is full or gone: so is what waits for it
	for one, ok := next(); ok; one, ok = next() {
		if lost {
			continue
		}
		if one.make != nil {
			if spent >= Spell {
				backoff.Sleep(ctx, min(spent, maxPause))
				spent = 0
			}
			began := time.Now()
			one.frame = one.make()
			spent += time.Since(began)
		}
		if one.frame != nil && ctx.Err() == nil {
			lost = !a.send(ctx, path, one)
		}
	}
}

func (a *Answers) send(ctx context.Context, path paths.Path, one answer) bool {
	ctx, cancel := context.WithTimeout(ctx, SendTime)
	defer cancel()
	return a.o.Send(ctx, path, one.remote, one.frame) == nil
}
