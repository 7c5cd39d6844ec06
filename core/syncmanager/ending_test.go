package syncmanager

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A reporter ends at any moment of a subscribe, of an observer here and of one elsewhere, while it changes its object. Each observer
// is refused, or has the object and then its end; and nothing is kept.
func TestReporterEndsDuringASubscribe(t *testing.T) {
	for after := time.Duration(0); after <= 70*time.Millisecond; after += 2 * time.Millisecond {
		run(t, func(w *world) {
			a, b := w.by["a.example"], w.by["b.example"]
			alice, near, bob := a.component("alice"), a.component("near"), b.component("bob")
			defer near.close()
			defer bob.close()
			r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{URL: "comm://a.example/room"}))
			changing := make(chan struct{})
			go func() {
				defer close(changing)
				for n := 0; r.Set(w.ctx, "n", n) == nil; n++ {
					time.Sleep(3 * time.Millisecond)
				}
			}()
			ended := make(chan error)
			for _, c := range []*component{near, bob} {
				go func() { ended <- c.untilTheEnd(w, r.URL()) }()
			}
			time.Sleep(after)
			alice.unhear()
			a.sm.ComponentGone(alice.url)
			for range 2 {
				if err := <-ended; err != nil {
					t.Errorf("reporter ends after %v: %v", after, err)
				}
			}
			alice.Close()
			alice.bus.Close()
			<-changing
			time.Sleep(5 * time.Minute)
			if got := a.left() + "; " + b.left(); got != nothing+"; "+nothing {
				t.Errorf("reporter ends after %v: %s", after, got)
			}
			if n := a.registered(); n != 0 {
				t.Errorf("reporter ends after %v: %d objects are registered", after, n)
			}
		}, "a.example", "b.example")
	}
}

// untilTheEnd observes an object until its end. The error is what is wrong with what it was told.
func (c *component) untilTheEnd(w *world, url message.URL) error {
	o, err := c.Observe(w.ctx, url)
	if err != nil {
		if refused := (*message.ResponseError)(nil); !errors.As(err, &refused) {
			return err
		}
		return nil
	}
	for version := o.Version(); ; {
		change, err := o.Next(w.ctx)
		switch {
		case err != nil:
			return err
		case change.Deleted:
			if _, err = o.Next(w.ctx); err != io.EOF {
				return errors.New("something comes behind the end")
			}
			return nil
		case change.Version <= version && !change.Resync:
			return errors.New("a change came twice, or late")
		}
		version = change.Version
	}
}

// A reporter ends just after it has allowed an observer: the observer is not entered for an object that is gone.
func TestReporterEndsOnceItHasAllowed(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		for _, c := range []*component{a.component("near"), b.component("bob")} {
			alice := a.component("alice")
			r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":1}`)))
			r.Allow(func(message.URL) bool {
				a.sm.ComponentGone(alice.url)
				return true
			})
			_, err := c.Observe(w.ctx, r.URL())
			wantCode(t, err, message.CodeNotFound)
			alice.close()
			c.close()
			time.Sleep(5 * time.Minute)
			if got := a.left() + "; " + b.left(); got != nothing+"; "+nothing {
				t.Errorf("%s: %s", c.url, got)
			}
		}
	}, "a.example", "b.example")
}

// The address of an object ends when its updates and its deletion have left for the runtimes that observe it, also where these are
// slow: what comes from an address that has ended is not believed there.
func TestAddressEndsBehindTheDeletion(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		w.mu.Lock()
		w.pace = 20 * time.Millisecond
		w.mu.Unlock()
		const changes = 200 // a link holds 100
		for n := range changes {
			check(t, r.Set(w.ctx, "n", n+1))
		}
		check(t, r.Delete(w.ctx))
		for n := range changes {
			if c := next(t, o); c.Deleted || string(c.Value) != fmt.Sprint(n+1) {
				t.Fatalf("change %d is %+v", n+1, c)
			}
		}
		wantEnd(t, o)
		time.Sleep(time.Minute)
		a.mu.Lock()
		defer a.mu.Unlock()
		if fmt.Sprint(a.ends) != "[deletion unregistered]" {
			t.Errorf("in this order: %v", a.ends)
		}
	}, "a.example", "b.example")
}
