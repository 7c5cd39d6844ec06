package syncmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// Random changes of random documents, by a reporter and by observers who make child objects, while observers come, go, and are slow.
// Messages are late, and are lost where they may be: an answer on the way between an application and its runtime; anything in the
// time of which the runtimes are told afterwards (Refresh), or the application is (Resume); updates that others follow. Some updates
// are changed on the way, as by a fault of an implementation. When it is quiet every observer has the reporter's value, byte for
// byte, and what Next has told leads to it.
func TestRandomObjects(t *testing.T) { randomObjects(t, 0, 300) }

// The rest of 10,000.
func TestLongRandomObjects(t *testing.T) {
	longtest.Skip(t)
	randomObjects(t, 300, 10000)
}

// randomObjects plays the seeds of a range; the variable SEED names one alone.
func randomObjects(t *testing.T, first, end uint64) {
	if one, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		first, end = one, one+1
	}
	for seed := first; seed < end && !t.Failed(); seed++ {
		run(t, func(w *world) {
			p := newPlay(w, seed)
			defer p.end()
			for range 10 + p.r.IntN(30) {
				p.step()
			}
			p.quiet()
		}, "a.example", "b.example", "c.example")
	}
}

// play is one seed.
type play struct {
	*world
	seed  uint64
	r     *rand.Rand // of the steps, which follow each other
	rep   *syncher.Reporter
	alice *wired
	near  []*wired // components that observe
	all   []*follower
	wg    sync.WaitGroup

	guard sync.Mutex
	luck  *rand.Rand // of messages
	lossy bool       // updates may be lost, or altered
}

// wired is a component with a connection to its runtime that is slow, and loses messages.
type wired struct {
	*component
	p  *play
	up chan message.Message

	guard sync.Mutex
	cut   bool                       // nothing passes
	loses func(message.Message) bool // what is lost on its way down
}

// follower is an observer, and what it is told.
type follower struct {
	*syncher.Observer
	who     *wired
	stop    context.CancelFunc
	slow    time.Duration // pause after each change; below 0: it reads nothing
	guard   sync.Mutex
	doc     object.Document // what the changes lead to
	version uint64          // of doc
	ended   bool
	wrong   error
}

func newPlay(w *world, seed uint64) *play {
	p := &play{world: w, seed: seed, r: rand.New(rand.NewPCG(seed, 1)), luck: rand.New(rand.NewPCG(seed, 2))}
	w.mu.Lock()
	w.lose, w.alter = p.loses, p.alters
	w.mu.Unlock()
	p.alice = p.wire(w.by["a.example"], "alice")
	for i := range 5 {
		p.near = append(p.near, p.wire(w.by[[]string{"a.example", "b.example", "b.example", "c.example", "c.example"}[i]], fmt.Sprint("observer", i)))
	}
	first, _ := json.Marshal(map[string]any{"l": []int{1, 2}, "m": p.value(3)})
	o := obj(string(first))
	if p.r.IntN(3) > 0 {
		o.Children = []string{"chat"}
	}
	p.rep = must[*syncher.Reporter](w.t)(p.alice.Create(w.ctx, o))
	return p
}

// wire makes a component.
func (p *play) wire(r *runtime, name string) *wired {
	c := r.component(name)
	c.close()
	w := &wired{component: c, p: p, up: make(chan message.Message, 1000)}
	c.bus = newBus(func(_ context.Context, m message.Message) error { w.up <- m; return nil })
	c.Syncher = syncher.New(syncher.Options{Bus: c.bus, Owner: c.url, Runtime: r.url})
	c.unhear = r.bus.Listen(c.url, func(ctx context.Context, m message.Message) {
		time.Sleep(p.delay())
		if !w.dropped(m) {
			c.bus.Deliver(ctx, m)
		}
	})
	p.wg.Go(func() {
		for m := range w.up {
			time.Sleep(p.delay())
			if !w.dropped(message.Message{}) {
				_ = r.bus.From(p.ctx, c.url, m)
			}
		}
	})
	return w
}

// delay is how long a message takes between a component and its runtime.
func (p *play) delay() time.Duration {
	p.guard.Lock()
	defer p.guard.Unlock()
	return time.Duration(p.luck.IntN(2000)) * time.Microsecond
}

func (w *wired) dropped(m message.Message) bool {
	w.guard.Lock()
	defer w.guard.Unlock()
	return w.cut || w.loses != nil && w.loses(m)
}

func (w *wired) set(cut bool, loses func(message.Message) bool) {
	w.guard.Lock()
	defer w.guard.Unlock()
	w.cut, w.loses = cut, loses
}

// loses tells whether an update is lost between runtimes; p.mu is held.
func (p *play) loses(_, _ string, m message.Message) bool {
	p.guard.Lock()
	defer p.guard.Unlock()
	return p.lossy && m.Type == message.Update && p.luck.IntN(6) == 0
}

// alters changes an update on its way between runtimes.
func (p *play) alters(m message.Message) message.Message {
	p.guard.Lock()
	defer p.guard.Unlock()
	if !p.lossy || m.Type != message.Update || p.luck.IntN(8) > 0 {
		return m
	}
	var u object.Update
	if err := json.Unmarshal(m.Body, &u); err != nil || u.Attribute == "" || len(u.Value) == 0 || u.Operation == object.Remove {
		return m
	}
	u.Value = json.RawMessage(`"altered"`)
	m.Body = message.Encode(u)
	return m
}

func (p *play) failed(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("seed %d: "+format, append([]any{p.seed}, args...)...)
}

// follow reads the changes.
func (f *follower) follow(ctx context.Context) {
	for {
		c, err := f.Next(ctx)
		f.guard.Lock()
		switch {
		case errors.Is(err, io.EOF), c.Deleted:
			f.ended = true
			f.guard.Unlock()
			return
		case err != nil:
			f.guard.Unlock()
			return
		}
		if c.Resync || c.Version > f.version {
			if f.doc, err = replay(f.doc, c); err != nil {
				f.wrong = fmt.Errorf("%+v after %s: %w", c, f.doc.JSON(), err)
			}
		}
		f.guard.Unlock()
		time.Sleep(f.slow)
	}
}

// replay applies a change as an application does that keeps a copy of its own.
func replay(d object.Document, c syncher.Change) (object.Document, error) {
	switch {
	case c.Resync:
		return object.Parse(c.Value)
	case c.Operation == syncher.OpAway || c.Operation == syncher.OpBack:
		return d, nil
	case c.Operation == syncher.OpRemove:
		return d.Apply(d.Removal(c.Attribute))
	case c.Operation == syncher.OpAdd:
		return d.Apply(object.Change{Attribute: c.Attribute, Type: object.Array, Operation: object.Add, Value: []byte("[" + string(c.Value) + "]")})
	}
	return d.Apply(d.Replacement(c.Attribute, c.Value))
}

// quiet ends all faults, waits, and compares.
func (p *play) quiet() {
	p.guard.Lock()
	p.lossy = false
	p.guard.Unlock()
	for _, w := range append([]*wired{p.alice}, p.near...) {
		w.set(false, nil)
	}
	time.Sleep(time.Minute)
	check(p.t, p.rep.Set(p.ctx, "last", p.seed)) // the last change is not lost
	for i, w := range p.near {
		if i%2 == 0 {
			p.come(w) // a late one
		}
	}
	time.Sleep(5 * time.Minute)
	want := string(p.rep.Value())
	for _, f := range p.all {
		f.guard.Lock()
		read, wrong, ended, told := f.slow >= 0, f.wrong, f.ended, string(f.doc.JSON())
		f.guard.Unlock()
		switch {
		case wrong != nil:
			p.failed("%s was told what it cannot follow: %v", f.who.url, wrong)
		case ended:
			p.failed("%s was told of an end", f.who.url)
		case string(f.Value()) != want || f.Version() != p.rep.Version():
			p.failed("%s has version %d, %s; the reporter %d, %s", f.who.url, f.Version(), f.Value(), p.rep.Version(), want)
		case read && told != want:
			p.failed("%s was told %s; the reporter has %s", f.who.url, told, want)
		}
	}
}

// end closes everything, and nothing is left.
func (p *play) end() {
	for len(p.all) > 0 {
		p.leave(p.all[0])
	}
	if !p.t.Failed() {
		time.Sleep(5 * time.Minute)
		if err := p.rep.Delete(p.ctx); err != nil {
			p.t.Errorf("seed %d: %v", p.seed, err)
		}
		time.Sleep(5 * time.Minute)
		for _, r := range p.by {
			if got := r.left(); got != nothing {
				p.t.Errorf("seed %d: %s: %s", p.seed, r.domain, got)
			}
		}
	}
	for _, w := range append([]*wired{p.alice}, p.near...) {
		w.Close()
		w.unhear()
		w.bus.Close()
		close(w.up)
	}
	p.wg.Wait()
}

// observed is what w observes with, or nil.
func (p *play) observed(w *wired) *follower {
	for _, f := range p.all {
		if f.who == w {
			return f
		}
	}
	return nil
}

func (p *play) without(f *follower) {
	rest := p.all[:0:0]
	for _, other := range p.all {
		if other != f {
			rest = append(rest, other)
		}
	}
	p.all = rest
}

// isDoubt tells whether an error leaves open what has become of a request: it is about time.
func isDoubt(err error) bool {
	var refused *message.ResponseError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &refused) && (refused.Code == message.CodeTimeout || strings.Contains(refused.Description, "meanwhile"))
}
