package syncher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/testbed"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("%s: %v, want %d", what, err, code)
	}
}

// until waits until an observer has the reporter's value.
func until(t *testing.T, o *syncher.Observer, r *syncher.Reporter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for string(o.Value()) != string(r.Value()) || o.Version() != r.Version() {
		if _, err := o.Next(ctx); err != nil {
			t.Fatalf("the observer has version %d, %s; the reporter %d, %s: %v", o.Version(), o.Value(), r.Version(), r.Value(), err)
		}
	}
}

// Two applications with runtimes in processes of their own: what a reporter is told of a change is what becomes of it.
func TestOverTheSocket(t *testing.T) {
	bed, err := testbed.Open(t.Context(), testbed.Options{Runtimes: []string{"alice", "bob"}})
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	for name, test := range map[string]func(*testing.T, *hyperty.Hyperty, *hyperty.Hyperty){"changes": changes, "children": children} {
		t.Run(name, func(t *testing.T) {
			alice, bob, end := pairAt(t.Context(), func(name string) string { return bed.Sockets[name] }, "reporter", "observer")
			defer end()
			test(t, alice, bob)
		})
	}
}

func changes(t *testing.T, alice, bob *hyperty.Hyperty) {
	r, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Data: []byte(`{"n":0}`)})
	if err != nil {
		t.Fatal(err)
	}
	early, err := bob.Objects().Observe(t.Context(), r.URL())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // with a context that has ended nothing is published
		if err := r.Set(ended, "n", "never"); !errors.Is(err, context.Canceled) || r.Version() != 0 {
			t.Fatalf("%v, version %d", err, r.Version())
		}
	}
	for n := range 200 { // with one that ends at any moment the change is made, or not
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*10*time.Microsecond)
		before := string(r.Value())
		err := r.Set(ctx, "n", n)
		cancel()
		if want := fmt.Sprintf(`{"n":%d}`, n); err == nil && string(r.Value()) != want || err != nil && string(r.Value()) != before {
			t.Fatalf("after %v the value is %s, it was %s", err, r.Value(), before)
		}
	}
	until(t, early, r)
	for _, path := range []string{"a.b.c", "x", syncher.Path("a.b", "c")} {
		if err := r.Remove(t.Context(), path); err != nil {
			t.Error(err)
		}
	}
	if err := r.Set(t.Context(), syncher.Path("versions", "1.0", "user://x.y"), `a\b`); err != nil {
		t.Error(err)
	}
	until(t, early, r)
	if want := `"versions":{"1.0":{"user://x.y":"a\\b"}}}`; string(r.Value())[len(r.Value())-len(want):] != want {
		t.Errorf("the value is %s", r.Value())
	}
	if err := early.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	late, err := bob.Objects().Observe(t.Context(), r.URL())
	if err != nil {
		t.Fatal(err)
	}
	until(t, late, r)
	if err := late.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, h := range []*hyperty.Hyperty{alice, bob} {
		_, err := h.Request(t.Context(), r.URL().Join("changes"), message.Update, map[string]any{"version": 9, "attribute": "n", "value": 1})
		wantCode(t, "an update past the reporter", err, message.CodeForbidden)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("updates past the reporter are answered after %v", took)
	}
	if err := r.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var refused *message.ResponseError
	for err == nil || errors.As(err, &refused) && refused.Code == message.CodeTimeout { // while it is taken out of the Domain Registry
		if _, err = bob.Objects().Observe(ctx, r.URL()); err == nil {
			t.Fatal("an object that is deleted is observed")
		}
	}
	wantCode(t, "an object that is deleted is observed", err, message.CodeNotFound)
	private, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Private: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bob.Objects().Observe(t.Context(), private.URL()) // nobody who was not invited learns that there is one
	wantCode(t, "a private object is observed", err, message.CodeNotFound)
}

func children(t *testing.T, alice, bob *hyperty.Hyperty) {
	_, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Children: []string{"chat"}, Data: []byte(`{"childrenObjects":7}`)})
	if !errors.Is(err, syncher.ErrData) {
		t.Errorf("an object with a member for children: %v", err)
	}
	r, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Children: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"childrenObjects", "childrenObjects.x", syncher.Path("childrenObjects", "x.y")} {
		if err := r.Set(t.Context(), path, 7); !errors.Is(err, syncher.ErrPath) {
			t.Errorf("set %s: %v", path, err)
		}
	}
	if err := r.Set(t.Context(), "o", map[string]int{}); err != nil {
		t.Error(err)
	}
	if err := r.Add(t.Context(), "o", 1); !errors.Is(err, syncher.ErrPath) {
		t.Errorf("an element is added to an object: %v", err)
	}
	o, err := bob.Objects().Observe(t.Context(), r.URL())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 400 {
		all.Go(func() {
			if _, err := o.AddChild(t.Context(), "chat", n); err != nil {
				t.Errorf("child %d: %v", n, err)
			}
		})
	}
	all.Wait()
	until(t, o, r)
	if n := len(o.Children()); n != 400 {
		t.Errorf("%d children", n)
	}
}
