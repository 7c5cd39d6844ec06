package syncmanager

import (
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

func room(names ...string) syncher.Object {
	o := obj(`{"n":0}`)
	o.Children = names
	return o
}

// same checks that a side has the one child with the value.
func same(t *testing.T, who string, children map[string]syncher.Child, id, name string, reporter message.URL, value string) {
	t.Helper()
	c, ok := children[id]
	if !ok || len(children) != 1 || c.Name != name || c.Reporter != reporter || c.Created == "" || string(c.Value) != value {
		t.Errorf("%s has %+v, want %s by %s with %s", who, children, name, reporter, value)
	}
}

func TestChildren(t *testing.T) {
	run(t, func(w *world) {
		a, b, c := w.by["a.example"], w.by["b.example"], w.by["c.example"]
		alice, bob, carol, neighbour := a.component("alice"), b.component("bob"), c.component("carol"), a.component("neighbour")
		for _, who := range []*component{alice, bob, carol, neighbour} {
			defer who.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, room("chat", "files")))
		told := make(chan syncher.ChildChange, 8)
		r.OnChild(func(c syncher.ChildChange) { told <- c })
		atBob := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		atCarol := must[*syncher.Observer](t)(carol.Observe(w.ctx, r.URL()))
		if names := atBob.Metadata().Children; len(names) != 2 || names[0] != "chat" {
			t.Errorf("names at bob: %q", names)
		}

		// Bob makes one: everybody has it, in the order of the object's versions.
		id := must[string](t)(atBob.AddChild(w.ctx, "chat", map[string]string{"text": "hi"}))
		if !strings.HasPrefix(id, string(bob.url)+"#") {
			t.Errorf("id %s", id)
		}
		if got := <-told; got.ID != id || got.Removed || got.Child.Reporter != bob.url {
			t.Errorf("alice was told %+v", got)
		}
		for who, o := range map[string]*syncher.Observer{"bob": atBob, "carol": atCarol} {
			if ch := next(t, o); ch.Child() != id || ch.Version != 1 {
				t.Errorf("%s: change %+v", who, ch)
			}
			same(t, who, o.Children(), id, "chat", bob.url, `{"text":"hi"}`)
		}
		same(t, "alice", r.Children(), id, "chat", bob.url, `{"text":"hi"}`)

		// It is bob's: he changes it, carol cannot.
		wantCode(t, atCarol.SetChild(w.ctx, id, "text", "no"), 403)
		wantCode(t, atCarol.RemoveChild(w.ctx, id), 403)
		wantCode(t, r.SetChild(w.ctx, id, "text", "no"), 403)
		check(t, atBob.SetChild(w.ctx, id, "text", "ho"))
		if ch := next(t, atCarol); ch.Child() != id || ch.Version != 2 || string(ch.Value) != `"ho"` {
			t.Errorf("carol: change %+v", ch)
		}
		same(t, "carol", atCarol.Children(), id, "chat", bob.url, `{"text":"ho"}`)

		// Whoever comes later finds it; also in the reporter's own runtime, from where it works as well.
		atNeighbour := must[*syncher.Observer](t)(neighbour.Observe(w.ctx, r.URL()))
		same(t, "neighbour", atNeighbour.Children(), id, "chat", bob.url, `{"text":"ho"}`)
		file := must[string](t)(atNeighbour.AddChild(w.ctx, "files", 7))
		check(t, atNeighbour.RemoveChild(w.ctx, file))

		// The reporter makes its own, and removes anybody's.
		own := must[string](t)(r.AddChild(w.ctx, "chat", "welcome"))
		check(t, r.SetChild(w.ctx, own, "", "good bye"))
		check(t, r.RemoveChild(w.ctx, id))
		time.Sleep(time.Second) // of the bubble
		same(t, "bob", atBob.Children(), own, "chat", alice.url, `"good bye"`)
		wantCode(t, atBob.SetChild(w.ctx, id, "text", "gone"), 404)
		wantCode(t, atBob.SetChild(w.ctx, own, "", "mine"), 403)

		// Who observes no more makes none; nobody does under another name, or in an object without.
		_, err := atBob.AddChild(w.ctx, "video", 1)
		wantCode(t, err, 404)
		check(t, atBob.Close(w.ctx))
		time.Sleep(time.Second) // until alice's runtime knows
		_, err = atBob.AddChild(w.ctx, "chat", 1)
		wantCode(t, err, 403)
		plain := must[*syncher.Reporter](t)(alice.Create(w.ctx, room()))
		atCarol = must[*syncher.Observer](t)(carol.Observe(w.ctx, plain.URL()))
		_, err = atCarol.AddChild(w.ctx, "chat", 1)
		wantCode(t, err, 404)
		_, err = alice.Create(w.ctx, room("a/b"))
		wantCode(t, err, 400)

		check(t, r.Delete(w.ctx))
		check(t, plain.Delete(w.ctx))
		time.Sleep(time.Minute)
		if a.left() != nothing || b.left() != nothing || c.left() != nothing {
			t.Errorf("something is left: %s; %s; %s", a.left(), b.left(), c.left())
		}
	}, "a.example", "b.example", "c.example")
}

// What an observer may send is checked: ids of others, an id twice, values that are no JSON, an object that is full.
func TestChildrenThatAreNone(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, room("chat")))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		ask := func(kind message.Type, at message.URL, body string) int {
			answer, err := bob.bus.Request(w.ctx, message.Message{Type: kind, From: bob.url, To: at, Body: []byte(body)})
			check(t, err)
			result, err := answer.Result()
			check(t, err)
			return result.Code
		}
		chat := object.Children(r.URL(), "chat")
		for body, want := range map[string]int{
			`{"resource":"` + string(alice.url) + `#1","value":1}`:  400,
			`{"resource":"` + string(bob.url) + `#1.name"}`:         400,
			`{"resource":"` + string(bob.url) + `"}`:                400,
			`{"resource":"` + string(bob.url) + `#"}`:               400,
			`{"resource":"n","value":1}`:                            400,
			`{"resource":["x"]}`:                                    400,
			`{}`:                                                    400,
			`{"resource":"` + string(bob.url) + `#x","value":null}`: 200,
		} {
			if code := ask(message.Create, chat, body); code != want {
				t.Errorf("create %s: %d, want %d", body, code, want)
			}
		}
		// With the specification's address of all children the name is in the body.
		if code := ask(message.Create, object.Children(r.URL(), "")+"/", `{"name":"chat","resource":"`+string(bob.url)+`#y"}`); code != 200 {
			t.Errorf("create at /children/: %d", code)
		}
		if code := ask(message.Create, chat, `{"resource":"`+string(bob.url)+`#x","value":2}`); code != 409 {
			t.Errorf("create again: %d", code)
		}
		if code := ask(message.Execute, chat, `{}`); code != 400 {
			t.Errorf("execute: %d", code)
		}
		if code := ask(message.Update, chat, `{"resource":"n","value":5}`); code != 404 {
			t.Errorf("update of an attribute that is no child: %d", code)
		}
		_, err := o.AddChild(w.ctx, "chat", strings.Repeat("x", object.MaxData))
		wantCode(t, err, 413)
		if code, _ := r.Children()[string(bob.url)+"#x"]; len(r.Children()) != 2 || string(code.Value) != "null" {
			t.Errorf("children %+v", r.Children())
		}
	}, "a.example", "b.example")
}
