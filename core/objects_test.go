package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// replica is an object as an observer has it.
type replica struct {
	t testing.TB
	*syncher.Observer
}

// next returns the next change.
func (r replica) next() (syncher.Change, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	return r.Next(ctx)
}

// counts reads changes of the attribute "n" until it is last; each must be one more than the one before.
func (r replica) counts(from, last int) {
	r.t.Helper()
	for n := from; n <= last; n++ {
		c, err := r.next()
		if err != nil || c.Attribute != "n" || c.Operation != syncher.OpSet || string(c.Value) != fmt.Sprint(n) {
			r.t.Fatalf("change %+v (%s), %v; want n = %d", c, c.Value, err, n)
		}
	}
}

// same waits until the replica is equal to the reporter's object.
func (r replica) same(rep *syncher.Reporter) {
	r.t.Helper()
	timeout := time.After(waitTime)
	for string(canonical(r.t, r.Value())) != string(canonical(r.t, rep.Value())) {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, _ = r.Next(ctx)
		cancel()
		select {
		case <-timeout:
			r.t.Fatalf("the replica is %s (version %d), the object %s (version %d)", r.Value(), r.Version(), rep.Value(), rep.Version())
		default:
		}
	}
}

func canonical(t testing.TB, text json.RawMessage) json.RawMessage {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return message.Encode(v)
}

// share creates an object at one hyperty, invites the other, and returns both ends.
func share(t testing.TB, reporter, observer *hyperty.Hyperty) (*syncher.Reporter, replica) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	invited := make(chan syncher.Invitation, 1)
	observer.Objects().OnInvite(func(_ context.Context, inv syncher.Invitation) { invited <- inv })
	rep, err := reporter.Objects().Create(ctx, syncher.Object{
		Scheme: "comm", Name: "count", Resources: []string{"chat"}, Data: json.RawMessage(`{"n":0,"list":[]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(rep.URL()), "comm://example.com/") {
		t.Errorf("the object's URL is %s", rep.URL())
	}
	if err := rep.Invite(ctx, observer.URL()); err != nil {
		t.Fatal(err)
	}
	inv := <-invited
	if inv.URL != rep.URL() || inv.Reporter != reporter.URL() || inv.Name != "count" {
		t.Errorf("invitation %+v", inv)
	}
	if err := rep.Set(ctx, "n", 1); err != nil { // before the subscription: it is in the answer
		t.Fatal(err)
	}
	o, err := observer.Objects().Observe(ctx, inv.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := replica{t, o}
	if string(o.Value()) != `{"list":[],"n":1}` && string(o.Value()) != `{"n":1,"list":[]}` {
		t.Errorf("the value in the answer is %s", o.Value())
	}
	return rep, r
}

// An object's changes come in order while its messages move from the relay to the direct path, whichever side's runtime has
// requested the connection.
func TestDataObjects(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	use := []string{built.transportIDs[0]}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: use})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use})
	alice, bob := a.register("alice"), b.register("bob")
	rep, r := share(t, alice, bob)
	const changes = 200 // an observer keeps so many for a reader that comes late
	set := func(from, to int) {
		t.Helper()
		for n := from; n <= to; n++ {
			if err := rep.Set(t.Context(), "n", n); err != nil {
				t.Fatal(err)
			}
		}
	}
	set(2, changes/2)
	a.live(b)
	b.live(a)
	set(changes/2+1, changes)
	r.counts(2, changes)
	ways := map[bool]int{} // direct or not: if both sides request at once, one direct connection may be replaced by another
	b.count(func(e trace.Event) bool {
		if e.Kind == trace.Arrive && e.To == rep.URL().Join("changes") {
			ways[!strings.Contains(string(e.Via), "/protostub/")]++
		}
		return false
	})
	if ways[false] == 0 || ways[true] < changes/2 {
		t.Errorf("%d changes came over the relay and %d directly", ways[false], ways[true])
	}

	// Add and Remove, of elements and of attributes.
	for i := range 3 {
		if err := rep.Add(t.Context(), "list", fmt.Sprint("item ", i)); err != nil {
			t.Fatal(err)
		}
		if c, err := r.next(); err != nil || c.Operation != syncher.OpAdd || string(c.Value) != fmt.Sprintf(`"item %d"`, i) {
			t.Fatalf("change %+v, %v", c, err)
		}
	}
	for _, attribute := range []string{"list.1", "n"} {
		if err := rep.Remove(t.Context(), attribute); err != nil {
			t.Fatal(err)
		}
		if c, err := r.next(); err != nil || c.Operation != syncher.OpRemove || c.Attribute != attribute {
			t.Fatalf("change %+v, %v", c, err)
		}
	}
	if got := string(r.Value()); got != `{"list":["item 0","item 2"]}` || r.Version() != rep.Version() {
		t.Errorf("the replica is %s, version %d of %d", got, r.Version(), rep.Version())
	}

	// A second observer on the reporter's side; then the first one unsubscribes, and gets nothing more.
	carol := a.register("carol")
	o, err := carol.Objects().Observe(t.Context(), rep.URL())
	if err != nil {
		t.Fatal(err)
	}
	second := replica{t, o}
	if err := r.Close(t.Context()); err != nil {
		t.Errorf("unsubscribe: %v", err)
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end of the observation: %v", err)
	}
	a.until("nothing goes to a runtime without observers", waitTime, func() bool {
		a.forget()
		set(1, 1)
		return a.count(func(e trace.Event) bool { return e.Kind == trace.Forward && e.To == rep.URL().Join("changes") }) == 0
	})

	// The object's end reaches its observers, and the object is gone.
	if err := rep.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := second.next()
		if err != nil {
			t.Fatalf("no word of the object's end: %v", err)
		}
		if c.Deleted {
			break
		}
	}
	_, err = bob.Objects().Observe(t.Context(), rep.URL())
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != message.CodeNotFound && refused.Code != message.CodeTimeout {
		t.Errorf("observe an object that is gone: %v", err)
	}
	if n := len(a.status().Objects); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// An observer whose connection dies, and even one that was cut off for a while, is up to date again.
func TestDataObjectsOverReconnects(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := built.transportIDs[0]
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{transport}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{transport}})
	alice, bob := a.register("alice"), b.register("bob")
	rep, r := share(t, alice, bob)
	a.live(b)
	b.live(a)
	n := 1
	set := func(count int) {
		t.Helper()
		for range count {
			n++
			if err := rep.Set(t.Context(), "n", n); err != nil {
				t.Fatal(err)
			}
		}
	}
	set(10)
	r.counts(2, n)
	for _, cut := range []string{"the plug-in", "the plug-in and the node"} {
		first := n + 1
		for _, side := range []*running{b, a} {
			side.forget()
		}
		if cut != "the plug-in" {
			node.kill()
		}
		kill(t, b.pid(transport))
		set(50)
		if cut != "the plug-in" {
			node.start()
		}
		set(50)
		r.counts(first, n) // every one of them, in order
		a.until("a direct path again", waitTime, func() bool {
			p, err := a.Path(t.Context(), bob.URL())
			return err == nil && p.Way == api.WayDirect && a.isLive(b) && b.isLive(a)
		})
		set(5)
		r.counts(n-4, n)
		r.same(rep)
	}
}
