package core_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/protofly/protofly/sdk/syncher"
)

// A hyperty that reports many objects changes them and ends at once. Every observer, behind another runtime's socket, sees every change,
// and then the deletion.
func TestAllObserversHearOfDeletions(t *testing.T) {
	t.Run("relay", func(t *testing.T) { deletions(t, "") })
	t.Run(oneTransport(t), func(t *testing.T) { deletions(t, oneTransport(t)) })
}

func deletions(t *testing.T, transport string) {
	node := startNode(t, "example.com")
	o := runtimeOptions{nodes: []*nodeProcess{node}, policy: "never", change: served}
	if transport != "" {
		o.use, o.policy = []string{transport}, ""
	}
	o.name = "a"
	a := startRuntime(t, o)
	o.name = "b"
	b := startRuntime(t, o)
	reporter, anna, bert := b.application("reporter"), a.application("anna"), a.application("bert")
	const objects, changes = 50, 5
	var reported []*syncher.Reporter
	var observed []*syncher.Observer
	for range objects {
		r, err := reporter.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Name: "room"})
		if err != nil {
			t.Fatal(err)
		}
		reported = append(reported, r)
		for _, h := range []*syncher.Syncher{anna.Objects(), bert.Objects()} {
			o, err := h.Observe(t.Context(), r.URL())
			if err != nil {
				t.Fatal(err)
			}
			observed = append(observed, o)
		}
	}
	if transport != "" {
		mutual(t, a, b)
	}
	for _, r := range reported {
		for n := range changes {
			if err := r.Set(t.Context(), "n", n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := reporter.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	for _, o := range observed {
		if err := sees(ctx, o, changes); err != nil {
			t.Errorf("%s: %v", o.URL(), err)
		}
	}
}

// sees tells what is wrong unless the observer sees so many changes, or the value that they have led to, and then the end.
func sees(ctx context.Context, o *syncher.Observer, changes int) error {
	last := "nothing"
	for {
		c, err := o.Next(ctx)
		if err != nil {
			return fmt.Errorf("after %s: %w", last, err)
		}
		if c.Deleted {
			if want := fmt.Sprintf(`{"n":%d}`, changes-1); last != want {
				return fmt.Errorf("deleted after %s, want %s", last, want)
			}
			return nil
		}
		last = string(o.Value())
	}
}
