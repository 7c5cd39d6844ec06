package syncmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

func newBus(out func(context.Context, message.Message) error) *minibus.MiniBus {
	return minibus.New(minibus.Options{Out: out})
}

// step does one thing, or several at once.
func (p *play) step() {
	w := p.near[p.r.IntN(len(p.near))]
	f := p.observed(w)
	switch n := p.r.IntN(24); {
	case n < 8:
		p.change()
	case n < 10:
		p.crowd()
	case n < 14 && f == nil:
		p.come(w)
	case n < 15 && f != nil:
		p.leave(f)
	case n < 16 && f != nil: // and comes back at once
		p.leave(f)
		p.come(w)
	case n < 18 && f != nil:
		p.child(f)
	case n == 18:
		p.lossOfAnswers()
	case n == 19:
		p.outageOfApplication(w)
	case n == 20:
		p.outageOfRuntime()
	case n == 21:
		p.guard.Lock()
		p.lossy = !p.lossy
		p.guard.Unlock()
	case n == 22:
		p.mu.Lock()
		p.pace = time.Duration(p.r.IntN(3)*p.r.IntN(10)) * time.Millisecond
		p.mu.Unlock()
	default:
		time.Sleep(time.Duration(p.r.IntN(3000)) * time.Millisecond)
	}
}

// context is that of one call: usually with time enough, sometimes with little, or with none left.
func (p *play) context() (context.Context, context.CancelFunc) {
	switch p.r.IntN(6) {
	case 0:
		ctx, cancel := context.WithCancel(p.ctx)
		cancel()
		return ctx, cancel
	case 1:
		return context.WithTimeout(p.ctx, time.Duration(p.r.IntN(4000))*time.Microsecond)
	}
	return context.WithTimeout(p.ctx, time.Minute)
}

// value is a random value of some levels.
func (p *play) value(levels int) any {
	switch n := p.r.IntN(8); {
	case n < 2 && levels > 0:
		list := []any{}
		for range p.r.IntN(4) {
			list = append(list, p.value(levels-1))
		}
		return list
	case n < 4 && levels > 0:
		all := map[string]any{}
		for range p.r.IntN(4) {
			all[p.key()] = p.value(levels - 1)
		}
		return all
	case n == 4:
		return nil
	case n == 5:
		return json.RawMessage([]string{"0", "-0", "1.0", "1e400", "9007199254740993", "[ 1 , 2 ]"}[p.r.IntN(6)])
	}
	return []any{"", "<é\u2028>", "text", true, false, 7}[p.r.IntN(6)]
}

func (p *play) key() string {
	return []string{"l", "m", "a", "b", "0", "1", "a.b", `\`, "", "user://x.y/z", "é<"}[p.r.IntN(11)]
}

// path is the path of something that is in the value, or could be.
func (p *play) path() string {
	var at any
	value := json.NewDecoder(bytes.NewReader(p.rep.Value()))
	value.UseNumber()
	if err := value.Decode(&at); err != nil {
		p.failed("the value: %v", err)
	}
	var keys []string
	for range 1 + p.r.IntN(4) {
		key := p.key()
		switch v := at.(type) {
		case map[string]any:
			at = v[key]
		case []any:
			i := p.r.IntN(len(v) + 2)
			key, at = fmt.Sprint(i), nil
			if i < len(v) {
				at = v[i]
			}
		default:
			at = nil
		}
		keys = append(keys, key)
	}
	return syncher.Path(keys...)
}

// change is a change of the reporter's: how it is made, and what it is.
type change struct {
	call    func(context.Context) error
	of      func(object.Document) object.Change
	removes bool
}

// one is a random change.
func (p *play) one() change {
	path, value := p.path(), p.value(2)
	raw, err := json.Marshal(value)
	if err != nil {
		p.failed("%v", err)
	}
	c := change{
		func(ctx context.Context) error { return p.rep.Set(ctx, path, value) },
		func(d object.Document) object.Change { return d.Replacement(path, raw) }, false,
	}
	switch p.r.IntN(5) {
	case 0:
		c.call = func(ctx context.Context) error { return p.rep.Remove(ctx, path) }
		c.of, c.removes = func(d object.Document) object.Change { return d.Removal(path) }, true
	case 1, 2:
		c.call = func(ctx context.Context) error { return p.rep.Add(ctx, path, value) }
		c.of = func(d object.Document) object.Change { return d.Addition(path, raw) }
	}
	return c
}

// change makes a change: it is made, or there is an error and it is not.
func (p *play) change() {
	c := p.one()
	ctx, cancel := p.context()
	defer cancel()
	ended := ctx.Err() != nil
	before, version := p.at(p.rep)
	err := c.call(ctx)
	want, made := before, version
	if has, _ := before.Has(c.of(before).Attribute); err == nil && (has || !c.removes) {
		if next, failed := before.Apply(c.of(before)); failed == nil { // else somebody else made it possible
			want, made = next, version+1
		}
	}
	after, now := p.at(p.rep)
	if now == made && string(after.JSON()) != string(want.JSON()) { // with another version somebody else has changed it too
		p.failed("%+v on %s, with %v: %s", c.of(before), before.JSON(), err, after.JSON())
	}
	if ended && err == nil {
		p.failed("a change with a context that has ended was made")
	}
}

// crowd makes changes at the same time.
func (p *play) crowd() {
	var all sync.WaitGroup
	for range 2 + p.r.IntN(8) {
		c := p.one()
		ctx, cancel := p.context()
		all.Go(func() {
			defer cancel()
			_ = c.call(ctx)
		})
	}
	if p.r.IntN(2) == 0 {
		all.Wait()
	} else {
		p.wg.Go(all.Wait)
	}
}

// come has w observe.
func (p *play) come(w *wired) {
	if p.observed(w) != nil {
		return
	}
	ctx, cancel := p.context()
	o, err := w.Observe(ctx, p.rep.URL())
	cancel()
	if err != nil {
		if !isDoubt(err) {
			p.failed("%s observes: %v", w.url, err)
		}
		return
	}
	f := &follower{Observer: o, who: w, slow: []time.Duration{-1, 0, 0, time.Millisecond, 500 * time.Millisecond}[p.r.IntN(5)]}
	f.doc, f.version = p.at(o)
	follow, stop := context.WithCancel(p.ctx)
	f.stop = stop
	p.all = append(p.all, f)
	if f.slow >= 0 {
		p.wg.Go(func() { f.follow(follow) })
	}
}

// at is a value, and its version.
func (p *play) at(o interface {
	Version() uint64
	Value() json.RawMessage
}) (object.Document, uint64) {
	for {
		version := o.Version()
		doc := must[object.Document](p.t)(object.Parse(o.Value()))
		if o.Version() == version {
			return doc, version
		}
	}
}

// leave has an observer end.
func (p *play) leave(f *follower) {
	f.stop()
	p.without(f)
	ctx, cancel := p.context()
	defer cancel()
	if err := f.Close(ctx); err != nil {
		if !isDoubt(err) {
			p.failed("%s ends: %v", f.who.url, err)
		}
		p.wg.Go(func() { _ = f.Close(p.ctx) })
	}
}

// child makes, changes and removes child objects.
func (p *play) child(f *follower) {
	ctx, cancel := p.context()
	defer cancel()
	id, err := f.AddChild(ctx, "chat", p.value(2))
	if err != nil {
		return
	}
	_ = f.SetChild(ctx, id, []string{"", "x", syncher.Path("a.b"), "0"}[p.r.IntN(4)], p.value(1))
	switch p.r.IntN(3) {
	case 0:
		_ = f.RemoveChild(ctx, id)
	case 1:
		_ = p.rep.RemoveChild(ctx, id)
	}
}

// lossOfAnswers has the reporter not hear what became of some changes.
func (p *play) lossOfAnswers() {
	p.alice.set(false, func(m message.Message) bool { return m.Type == message.Response })
	p.change()
	if p.r.IntN(2) == 0 {
		p.change()
	}
	p.alice.set(false, nil)
}

// outageOfApplication cuts an application off from its runtime for a while; then it resumes.
func (p *play) outageOfApplication(w *wired) {
	if p.r.IntN(3) == 0 {
		w = p.alice
	}
	w.set(true, nil)
	for range p.r.IntN(4) {
		p.change()
	}
	time.Sleep(time.Duration(p.r.IntN(5000)) * time.Millisecond)
	w.set(false, nil)
	if err := w.Resume(p.ctx); err != nil {
		p.failed("resume: %v", err)
	}
}

// outageOfRuntime cuts two runtimes off from each other for a while, of which both are told.
func (p *play) outageOfRuntime() {
	away := []string{"b.example", "c.example"}[p.r.IntN(2)]
	p.mu.Lock()
	usual := p.lose
	p.lose = func(from, to string, m message.Message) bool { return from == away || to == away || usual(from, to, m) }
	p.mu.Unlock()
	for range p.r.IntN(5) {
		p.change()
	}
	time.Sleep(time.Duration(p.r.IntN(40)) * time.Second)
	p.losing(usual)
	a, b := p.by["a.example"], p.by[away]
	if p.r.IntN(2) == 0 { // the session is another one
		a.sm.RuntimeGone(b.url)
		b.sm.RuntimeGone(a.url)
	}
	a.sm.Refresh(b.url)
	b.sm.Refresh(a.url)
}
