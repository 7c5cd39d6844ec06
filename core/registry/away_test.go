package registry

import (
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// While this domain's Message Node is away addresses are made, known names are used, and addresses are given up, all at once;
// the node hears of it when it is back. A name that was never granted waits for the node.
func TestRegistrationWhileTheNodeIsAway(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		node := a.url.Join("protostub", "example.com")
		if _, err := a.reg.Explain(w.ctx, message.DomainRegistryAddress("example.com")); err != nil { // has the stub deployed
			t.Fatal(err)
		}
		a.status(node, message.Live, "")
		named, _ := a.hyperty("named")
		if err := a.reg.Unregister(w.ctx, named); err != nil {
			t.Fatal(err)
		}
		gone, err := a.reg.RegisterHyperty(w.ctx, Hyperty{})
		if err != nil {
			t.Fatal(err)
		}
		w.change(func() { w.down = true })
		a.status(node, message.Disconnected, "")
		settle(time.Millisecond)
		began := time.Now()
		var fresh []message.URL
		for range 2 * 8 { // more than is left of the block
			u, err := a.reg.RegisterHyperty(w.ctx, Hyperty{})
			if err != nil {
				t.Fatal(err)
			}
			fresh = append(fresh, u)
		}
		short, err := a.reg.RegisterHyperty(w.ctx, Hyperty{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "named"}); err != nil {
			t.Errorf("a name that was granted before: %v", err)
		}
		for _, u := range []message.URL{gone, short} {
			if err := a.reg.Unregister(w.ctx, u); err != nil {
				t.Errorf("unregister %s: %v", u, err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "somebody"}); !isCode(err, message.CodeUnavailable) {
			t.Errorf("a name that may be another's: %v", err)
		}
		w.change(func() { w.down = false })
		a.status(node, message.Live, "")
		settle(10 * time.Second)
		for _, u := range append(fresh, named) {
			if w.entries[u] == nil || w.gone[u] {
				t.Errorf("%s is not registered at the node that is back", u)
			}
		}
		if !w.gone[gone] || w.entries[short] != nil && !w.gone[short] {
			t.Errorf("what has gone is still registered: %v %v", w.gone[gone], w.gone[short])
		}
	})
}

// A request does not wait for a node that goes while it is asked.
func TestTheNodeGoesWhileItIsAsked(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		node := a.url.Join("protostub", "example.com")
		if _, err := a.reg.Explain(w.ctx, message.DomainRegistryAddress("example.com")); err != nil {
			t.Fatal(err)
		}
		a.status(node, message.Live, "")
		settle(time.Millisecond)
		w.change(func() { w.down = true })
		w.wait.Go(func() {
			time.Sleep(time.Second)
			a.status(node, message.Disconnected, "")
		})
		began := time.Now()
		if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		w.change(func() { w.down = false })
	})
}

// Nobody waits for a node that is away where a new hyperty observes an object of a runtime with which there is a connection: it
// registers at once, it is known to be of the runtime that has announced it, and so is the reporter, of whom nobody here has heard,
// where the other runtime names it. The ways there and back are direct.
func TestObservingWhileTheNodeIsAway(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(func(o *Options) { o.Changes.Off = true })
		reporter, _ := a.hyperty("reporter")
		object, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: reporter, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		b.reg.Announced(w.ctx, a.url, []message.URL{object})
		for _, s := range []*side{a, b} {
			s.status(s.url.Join("protostub", "example.com"), message.Live, "")
		}
		w.change(func() { w.down = true })
		for _, s := range []*side{a, b} {
			s.status(s.url.Join("protostub", "example.com"), message.Disconnected, "")
		}
		settle(time.Millisecond)
		began := time.Now()
		observer, err := b.reg.RegisterHyperty(w.ctx, Hyperty{})
		if err != nil {
			t.Fatal(err)
		}
		a.reg.Announced(w.ctx, b.url, []message.URL{observer})
		b.reg.Announced(w.ctx, a.url, []message.URL{reporter})
		for _, c := range []struct {
			at, of  *side
			address message.URL
		}{{a, b, observer}, {b, a, reporter}} {
			if err := c.at.reg.Verify(w.ctx, c.of.url, c.address); err != nil {
				t.Errorf("%s: %v", c.address, err)
			}
			if route, err := c.at.resolve(c.address); err != nil || !route.Direct || route.Remote != c.of.url {
				t.Errorf("to %s: %+v, %v", c.address, route, err)
			}
		}
		if route, err := b.resolve(object.Join("subscription")); err != nil || !route.Direct || route.Remote != a.url {
			t.Errorf("to the object: %+v, %v", route, err)
		}
		took := time.Since(began)
		w.change(func() {
			if reads := w.reads[observer] + w.reads[reporter] + w.reads[object]; took > 0 || reads > 0 {
				t.Errorf("it took %v, with %d look-ups", took, reads)
			}
			w.down = false
		})
	})
}
