package api

import (
	"context"
	"errors"

	"github.com/protofly/protofly/sdk/hyperty"
	wire "github.com/protofly/protofly/sdk/hyperty/api"
	"github.com/protofly/protofly/sdk/message"
)

// creditAt is after how many units the application is told, at the latest.
const creditAt = 64

// start works off what was posted. mu is held.
func (a *attachment) start() {
	if !a.running && a.inner != nil && !a.app.ended && (len(a.posts) > 0 || a.leaving && len(a.behind) == 0) {
		a.running = true
		a.app.work.Go(a.run)
	}
}

// run posts what is queued, in order, and ends when nothing is left. What is for a receiver that is behind waits
// elsewhere.
func (a *attachment) run() {
	app := a.app
	for {
		app.mu.Lock()
		batch := a.posts
		a.posts = nil
		if len(batch) == 0 || app.ended {
			a.running = false
			leave := a.leaving && !app.ended && len(a.behind) == 0
			app.mu.Unlock()
			if leave {
				a.leave()
			}
			return
		}
		app.mu.Unlock()
		for n, p := range batch {
			last := n == len(batch)-1
			if a.waits(p) {
				a.tell(last)
				continue
			}
			err := a.put(app.server.ended, p)
			if errors.Is(err, context.Canceled) {
				if a.wait(p) {
					a.tell(last)
					continue
				}
				err = a.put(app.ctx, p) // too many are behind: then all wait
			}
			if !a.finish(p, err, last) {
				break
			}
		}
	}
}

// put hands a post to the runtime.
func (a *attachment) put(ctx context.Context, p posted) error {
	if p.m.To.IsBackEnd() && ctx == a.app.server.ended { // what it does here on the way is done once
		return ctx.Err()
	}
	if !p.track {
		return a.inner.Post(ctx, p.m)
	}
	return a.inner.Watch(ctx, p.m, func(o hyperty.Outcome) { a.outcome(p.m.ID, o) })
}

// tell has the application told what was worked off, where that is much or this was the last for now.
func (a *attachment) tell(last bool) {
	if last {
		a.app.poke()
	}
}

// finish notes a post that is worked off. It is false where the application has gone: the post is in doubt then.
func (a *attachment) finish(p posted, err error, last bool) bool {
	app := a.app
	if err != nil {
		a.refuse(p.m, err)
		if p.track {
			code, reason := response(err)
			a.outcome(p.m.ID, hyperty.Outcome{State: hyperty.Refused, Code: code, Reason: reason})
		}
	}
	if app.ctx.Err() != nil {
		return false
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	a.held -= p.cost
	if len(a.done) == 0 {
		app.owing = append(app.owing, a)
	}
	if n := len(a.done); n > 0 && a.done[n-1].first+a.done[n-1].n == p.number {
		a.done[n-1].n++
	} else {
		a.done = append(a.done, span{p.number, 1})
	}
	a.owed += p.cost
	a.tell(last || a.owed >= creditAt)
	return true
}

// waits queues a post whose receiver is behind.
func (a *attachment) waits(p posted) bool {
	a.app.mu.Lock()
	defer a.app.mu.Unlock()
	queue := a.behind[p.destination()]
	if queue == nil {
		return false
	}
	*queue = append(*queue, p)
	return true
}

func (p *posted) destination() destination { return destination{p.m.To, p.m.Type == message.Response} }

// wait begins a queue with a post whose receiver is behind. It is false where there are too many.
func (a *attachment) wait(p posted) bool {
	app := a.app
	app.mu.Lock()
	defer app.mu.Unlock()
	if len(a.behind) >= maxBehind {
		return false
	}
	if a.behind == nil {
		a.behind = map[destination]*[]posted{}
	}
	queue := &[]posted{p}
	a.behind[p.destination()] = queue
	app.work.Go(func() { a.work(p.destination(), queue) })
	return true
}

// work posts what waits for one receiver, and ends when nothing does.
func (a *attachment) work(to destination, queue *[]posted) {
	app := a.app
	for {
		app.mu.Lock()
		batch := *queue
		*queue = nil
		if len(batch) == 0 || app.ended {
			delete(a.behind, to)
			a.start() // it may be leaving
			app.mu.Unlock()
			return
		}
		app.mu.Unlock()
		for _, p := range batch {
			if !a.finish(p, a.put(app.ctx, p), true) {
				break
			}
		}
	}
}

// outcome tells the application what became of a post.
func (a *attachment) outcome(id message.ID, o hyperty.Outcome) {
	app := a.app
	app.mu.Lock()
	defer app.mu.Unlock()
	a.watched--
	if app.ended || a.gone {
		return
	}
	app.outcomes = append(app.outcomes, &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Outcome{Outcome: &wire.Outcome{
		Ref: a.ref, Id: id.String(), State: string(o.State), Code: uint32(o.Code), Reason: o.Reason}}})
	app.poke()
}
