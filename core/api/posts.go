package api

import (
	"context"
	"errors"
	"strings"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// post takes a message that the application posts. Where nothing waits before it, and nobody has to be waited for, it is
// posted at once.
func (app *application) post(rec wire.Record) error {
	parser := app.parsers[rec.Ref]
	if parser == nil {
		if len(app.parsers) >= maxHyperties {
			clear(app.parsers)
		}
		parser = &message.Parser{}
		app.parsers[rec.Ref] = parser
	}
	m, wrong := parser.Parse(rec.Data)
	if wrong != nil {
		m = message.Salvage(rec.Data) // for the refusal, which comes in order with those of other posts
	}
	cost := wire.Cost(len(rec.Data))
	l := app.lock()
	a := app.attached[rec.Ref]
	if a == nil || a.leaving { // the runtime has ended it, and the application does not know yet
		l.unlock()
		return nil
	}
	number, err := a.window.Take(cost, rec.Track)
	p := posted{m: m, cost: cost, number: number, track: rec.Track, err: wrong}
	if err != nil {
		p.cost = 0
		err = l.overrun(a, p, err)
		l.unlock()
		return err
	}
	if a.behind.Len() > 0 || !a.posts.Claim() {
		l.add(a, p)
		l.unlock()
		return nil
	}
	l.unlock()
	err = a.tryPut(p)
	l = app.lock()
	defer l.unlock()
	a.posts.Leave() // nothing has come: only this goroutine adds to them
	if err == nil {
		l.worked(a, p)
		return nil
	}
	if !errors.Is(err, message.ErrWouldBlock) {
		p.err = err
	}
	l.add(a, p)
	return nil
}

// add queues a post of a hyperty.
func (app locked) add(a *attachment, p posted) {
	if a.posts.Add(0, &p) && !app.ended {
		app.work.Go(a.run)
	}
}

// leaveWhenDone ends a registration where the application wants that, as soon as all that it has posted is worked off.
func (app locked) leaveWhenDone(a *attachment) {
	if a.leaving && !app.ended && a.behind.Len() == 0 && a.posts.Claim() {
		app.work.Go(a.run)
	}
}

// run posts what is queued, in order, and ends when nothing is left. What is for a receiver that is behind waits
// elsewhere.
func (a *attachment) run() {
	app := a.app
	for {
		l := app.lock()
		if app.ended {
			l.unlock()
			return
		}
		p, ok := a.posts.Next()
		if !ok {
			leave := a.leaving && a.behind.Len() == 0
			l.unlock()
			if leave {
				a.leave()
			}
			return
		}
		waits := a.behind.Has(p.destination())
		if waits {
			a.behind.Add(p.destination(), 0, p)
		}
		l.unlock()
		if waits {
			continue
		}
		err := a.tryPut(p)
		if errors.Is(err, message.ErrWouldBlock) {
			if a.wait(p) {
				continue
			}
			err = a.put(app.ctx, p) // too many are behind: then all wait
		}
		a.finish(p, err)
	}
}

// put hands a post to the runtime, and waits as long as that does.
func (a *attachment) put(ctx context.Context, p posted) error {
	if err := a.mayPost(&p); err != nil {
		return err
	}
	if !p.track {
		return a.inner.Post(ctx, p.m)
	}
	return a.inner.PostTracked(ctx, p.m, a.telling(p.m.ID))
}

// tryPut is put without waiting; [message.ErrWouldBlock].
func (a *attachment) tryPut(p posted) error {
	if err := a.mayPost(&p); err != nil {
		return err
	}
	if !p.track {
		return a.inner.TryPost(p.m)
	}
	return a.inner.TryPostTracked(p.m, a.telling(p.m.ID))
}

// mayPost refuses what was refused already, and requests of a runtime that ends. Answers still go out.
func (a *attachment) mayPost(p *posted) error {
	if p.err == nil && p.m.Type != message.Response && a.app.shared.draining() {
		return endingError()
	}
	return p.err
}

// telling tells the application what became of a post.
func (a *attachment) telling(id message.ID) func(hyperty.Outcome) {
	return func(o hyperty.Outcome) { a.outcome(id, o) }
}

// finish notes a post that is worked off. It is false where the application has gone: the post is in doubt then.
func (a *attachment) finish(p posted, err error) bool {
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
	l := app.lock()
	defer l.unlock()
	l.worked(a, p)
	return true
}

// worked has the application told that a post is worked off: at once where that is much, else with something else, or in
// a while.
func (app locked) worked(a *attachment, p posted) {
	first, due := a.window.Done(p.number, p.cost)
	if first {
		app.owing = append(app.owing, a)
	}
	if due {
		app.poke()
	} else if !app.hesitates {
		app.hesitates = true
		app.late.Reset(hesitation)
	}
}

// wait has a post, whose receiver is behind, wait for it. It is false where there are too many receivers.
func (a *attachment) wait(p posted) bool {
	app := a.app
	l := app.lock()
	defer l.unlock()
	lane, ok := a.behind.Add(p.destination(), 0, p)
	if lane != nil {
		app.work.Go(func() { a.work(lane) })
	}
	return ok
}

// work posts what waits for one receiver, and ends when nothing does.
func (a *attachment) work(lane *work.KeyLane[destination, posted]) {
	app := a.app
	for goes := true; ; {
		l := app.lock()
		if !goes || app.ended {
			a.behind.Drop(lane)
			l.unlock()
			return
		}
		p, ok := a.behind.Next(lane)
		if !ok {
			l.leaveWhenDone(a)
		}
		l.unlock()
		if !ok {
			return
		}
		goes = a.finish(p, a.put(app.ctx, p))
	}
}

// outcome tells the application what became of a post.
func (a *attachment) outcome(id message.ID, o hyperty.Outcome) {
	app := a.app
	l := app.lock()
	defer l.unlock()
	a.window.Told()
	if app.ended || a.gone {
		return
	}
	app.control.Control(outcomeFrame(a.ref, id, o))
	app.poke()
}

func outcomeFrame(ref uint32, id message.ID, o hyperty.Outcome) *wire.RuntimeFrame {
	return &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Outcome{Outcome: &wire.Outcome{
		Ref: ref, Id: strings.ToValidUTF8(id.String(), "?"), State: string(o.State), Code: uint32(o.Code), Reason: strings.ToValidUTF8(o.Reason, "?")}}}
}
