package syncmanager

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

func obj(data string) syncher.Object {
	return syncher.Object{Scheme: "comm", Name: "room", Schema: "hyperty-catalogue://catalogue.a/.well-known/dataschema/Communication", Data: []byte(data)}
}

func TestAnObjectFollowsItsReporter(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		invited := make(chan syncher.Invitation, 1)
		bob.OnInvite(func(_ context.Context, inv syncher.Invitation) { invited <- inv })

		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0,"list":["x"]}`)))
		if r.URL() != "comm://a.example/o1" {
			t.Fatalf("address %s", r.URL())
		}
		check(t, r.Set(w.ctx, "n", 1))
		check(t, r.Invite(w.ctx, bob.url))
		inv := <-invited
		if inv.URL != r.URL() || inv.Reporter != alice.url || inv.Runtime != a.url || inv.Name != "room" || strings.Contains(string(inv.Metadata), `"data"`) {
			t.Fatalf("invitation %+v %s", inv, inv.Metadata)
		}
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, inv.URL))
		wantValue(t, o.Value(), `{"n":1,"list":["x"]}`)
		if o.Version() != 1 || o.Metadata().Reporter != alice.url {
			t.Fatalf("version %d, metadata %+v", o.Version(), o.Metadata())
		}

		check(t, r.Set(w.ctx, "deep.er", map[string]int{"a": 1}))
		check(t, r.Add(w.ctx, "list", []int{7}))
		check(t, r.Remove(w.ctx, "n"))
		check(t, r.Remove(w.ctx, "list.0"))
		for i, want := range []syncher.Change{
			{Attribute: "deep.er", Value: []byte(`{"a":1}`)},
			{Attribute: "list.1", Operation: syncher.OpAdd, Value: []byte(`[7]`)},
			{Attribute: "n", Operation: syncher.OpRemove},
			{Attribute: "list.0", Operation: syncher.OpRemove, Value: []byte(`1`)},
		} {
			got := next(t, o)
			want.Version = uint64(i + 2)
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Fatalf("change %d is %+v, want %+v", i, got, want)
			}
		}
		wantValue(t, o.Value(), `{"deep":{"er":{"a":1}},"list":[[7]]}`)
		wantValue(t, r.Value(), string(o.Value()))

		check(t, r.Delete(w.ctx))
		wantEnd(t, o)
		synctest.Wait()
		if a.registered() != 0 {
			t.Error("the object is still registered")
		}
		wantCode(t, r.Set(w.ctx, "n", 1), 404)
		time.Sleep(time.Minute)
		if a.left() != nothing || b.left() != nothing {
			t.Errorf("something is left: %s; %s", a.left(), b.left())
		}
	}, "a.example", "b.example")
}

func TestNodesAreToldOfObjects(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		a.nodeSays = 400 // a node that wants the other name
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		check(t, o.Close(w.ctx))
		synctest.Wait()
		var got []string
		for _, m := range append(a.nodeGot, b.nodeGot...) {
			got = append(got, fmt.Sprint(m.Type, " ", m.To, " ", string(m.Body)))
		}
		want := []string{
			`subscribe domain://msg-node.a.example/sm {"resources":["comm://a.example/o1","comm://a.example/o1/subscription"]}`,
			`subscribe domain://msg-node.a.example/sm {"subscribe":["comm://a.example/o1","comm://a.example/o1/subscription"]}`,
			`subscribe domain://msg-node.a.example/sm {"resources":["comm://a.example/o1/changes"]}`,
			`unsubscribe domain://msg-node.a.example/sm {"resources":["comm://a.example/o1/changes"]}`,
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the nodes got\n%s", strings.Join(got, "\n"))
		}
	}, "a.example", "b.example")
}

func TestObserversShareOneSubscription(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, near := a.component("alice"), a.component("near")
		bob, bea := b.component("bob"), b.component("bea")
		for _, c := range []*component{alice, near, bob, bea} {
			defer c.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		published := 0
		w.losing(func(_, _ string, m message.Message) bool {
			if m.To == object.Changes(r.URL()) {
				published++
			}
			return false
		})
		var all []*syncher.Observer
		for _, c := range []*component{near, bob, bea} {
			all = append(all, must[*syncher.Observer](t)(c.Observe(w.ctx, r.URL())))
			check(t, r.Set(w.ctx, "n", len(all)))
		}
		synctest.Wait()
		time.Sleep(time.Second)
		for i, o := range all {
			wantValue(t, o.Value(), `{"n":3}`)
			for v := i + 1; v <= 3; v++ {
				if c := next(t, o); c.Version != uint64(v) {
					t.Fatalf("observer %d: change %+v, want version %d", i, c, v)
				}
			}
		}
		w.losing(nil)
		if published != 2 {
			t.Errorf("%d updates crossed the link, want 2", published)
		}
		check(t, all[1].Close(w.ctx))
		check(t, r.Set(w.ctx, "n", 4))
		if c := next(t, all[2]); c.Version != 4 {
			t.Errorf("change %+v", c)
		}
		check(t, all[2].Close(w.ctx))
		check(t, all[0].Close(w.ctx))
		time.Sleep(time.Second)
		if !strings.HasPrefix(a.left(), "1 reported to 0, 0 observed, 1 owners, 0 followers") || b.left() != nothing {
			t.Errorf("something is left: %s; %s", a.left(), b.left())
		}
	}, "a.example", "b.example")
}

func TestWhoMayDoWhat(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, mallory, bob := a.component("alice"), a.component("mallory"), b.component("bob")
		for _, c := range []*component{alice, mallory, bob} {
			defer c.close()
		}
		secret := obj(`{"n":0}`)
		secret.Private = true
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, secret))
		_, err := bob.Observe(w.ctx, r.URL())
		wantCode(t, err, 403)
		_, err = mallory.Observe(w.ctx, r.URL())
		wantCode(t, err, 403)
		_, err = bob.Observe(w.ctx, "comm://a.example/none")
		wantCode(t, err, 404)
		_, err = bob.Observe(w.ctx, "comm://nowhere.example/none")
		wantCode(t, err, 404)
		_, err = bob.Observe(w.ctx, "hyperty://a.example/alice")
		wantCode(t, err, 400)
		wantCode(t, r.Invite(w.ctx, bob.url), 404) // bob takes no invitations
		bob.OnInvite(func(ctx context.Context, inv syncher.Invitation) { check(t, inv.Refuse(ctx, 409, "glare")) })
		wantCode(t, r.Invite(w.ctx, bob.url), 409)
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL())) // it was invited
		_, err = bob.Observe(w.ctx, r.URL())
		wantCode(t, err, 409)

		to := func(c *component, t message.Type, to message.URL, body any) message.Message {
			return message.Message{Type: t, From: c.url, To: to, Body: message.Encode(body)}
		}
		version := uint64(1)
		evil := object.Update{Resource: r.URL(), Version: &version, Attribute: "n", Value: []byte("666")}
		for _, m := range []message.Message{
			to(mallory, message.Update, a.sm.self, evil),
			to(mallory, message.Delete, a.sm.self, protocol.Resource{Resource: r.URL()}),
			to(mallory, message.Create, a.sm.self, map[string]any{"resource": r.URL(), "authorise": mallory.url}),
			to(mallory, message.Subscribe, object.Subscription(r.URL()), map[string]any{"subscriber": bob.url}),
			to(bob, message.Subscribe, a.sm.self, protocol.Resource{Resource: r.URL()}), // not from here
			to(bob, message.Read, r.URL(), protocol.Resource{}),                         // this one may
		} {
			c := mallory
			if m.From == bob.url {
				c = bob
			}
			answer := must[message.Message](t)(c.bus.Request(w.ctx, m))
			_, err := answer.OK()
			if m.Type == message.Read {
				check(t, err)
				continue
			}
			wantCode(t, err, 403)
		}
		// Neither side takes what is published by somebody else.
		check(t, mallory.bus.Post(w.ctx, to(mallory, message.Update, object.Changes(r.URL()), evil)))
		check(t, mallory.bus.Post(w.ctx, to(mallory, message.Delete, object.Changes(r.URL()), protocol.Resource{Resource: r.URL()})))
		time.Sleep(time.Second)
		wantValue(t, o.Value(), `{"n":0}`)
		check(t, r.Set(w.ctx, "n", 5))
		if c := next(t, o); string(c.Value) != "5" || c.Version != 1 {
			t.Errorf("change %+v", c)
		}
		r.Allow(func(message.URL) bool { return false })
		check(t, o.Close(w.ctx))
		_, err = bob.Observe(w.ctx, r.URL())
		wantCode(t, err, 403)
	}, "a.example", "b.example")
}

func TestCreateIsRefused(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		alice, other := a.component("alice"), a.component("other")
		defer alice.close()
		defer other.close()
		for url, code := range map[message.URL]int{
			"comm://a.example/taken": 409, "hyperty://a.example/x": 400, "domain://a.example/x": 400,
			"runtime://a.example/x": 400, "comm://a.example/x/y": 400, "comm://a.example": 400,
		} {
			_, err := alice.Create(w.ctx, syncher.Object{URL: url})
			wantCode(t, err, code)
		}
		_ = must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{URL: "comm://a.example/mine"}))
		_, err := other.Create(w.ctx, syncher.Object{URL: "comm://a.example/mine"})
		wantCode(t, err, 409)
		a.limit(func(l *Limits) { l.PerComponent = 1 })
		_, err = alice.Create(w.ctx, obj(`{}`))
		wantCode(t, err, 429)
		a.limit(func(l *Limits) { l.Bytes = 100 })
		r := must[*syncher.Reporter](t)(other.Create(w.ctx, obj(`{}`)))
		wantCode(t, r.Set(w.ctx, "x", strings.Repeat("x", 200)), 429)
		check(t, r.Set(w.ctx, "x", "small"))
		answer := must[message.Message](t)(alice.bus.Request(w.ctx, message.Message{Type: message.Execute, From: alice.url, To: a.sm.self}))
		_, err = answer.OK()
		wantCode(t, err, 400)
		answer = must[message.Message](t)(alice.bus.Request(w.ctx, message.Message{Type: message.Create, From: alice.url, To: a.sm.self, Body: []byte(`{"value":7}`)}))
		_, err = answer.OK()
		wantCode(t, err, 400)
	}, "a.example")
}

// A reference sync manager: other spellings, no gap where versions begin.
func TestFormsOfTheReference(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		bob := b.component("bob")
		defer bob.close()
		u := message.URL("connection://a.example/c1")
		a.bus.Listen(object.Subscription(u), func(ctx context.Context, m message.Message) {
			if m.Type == message.Subscribe {
				check(t, a.bus.Post(ctx, m.RespondBody([]byte(`{"code":"200","owner":"hyperty://a.example/x","value":{"url":"connection://a.example/c1","reporter":"hyperty://a.example/x","version":2,"strange":[1],"data":{"connectionDescription":{},"iceCandidates":[]}}}`))))
			}
		})
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, u))
		stop := a.bus.Forward(object.Changes(u), b.url)
		defer stop()
		for _, body := range []string{
			`{"version":1,"attribute":"old","value":1}`,
			`{"version":3,"attribute":"connectionDescription.text","value":"v=0"}`,
			`{"version":4,"attribute":"connectionDescription.type","value":"offer"}`,
			`{"version":5,"attribute":"connectionDescription","value":{"text":"v=1","type":"offer"}}`,
			`{"version":6,"attribute":"iceCandidates.0","attributeType":"array","operation":"add","value":{"candidate":"c0"},"mutual":false}`,
			`{"version":7,"attribute":"iceCandidates.1","attributeType":"array","operation":"add","value":[{"candidate":"c1"}]}`,
			`{"attribute":"iceCandidates.0","attributeType":"array","value":{"candidate":"c00"}}`,
			`{"version":9,"attribute":"gone"}`,
		} {
			check(t, a.bus.Post(w.ctx, message.Message{Type: message.Update, From: u, To: object.Changes(u), Source: "hyperty://a.example/x", Body: []byte(body)}))
		}
		for v := uint64(3); v <= 9; v++ {
			c := next(t, o)
			if c.Version != v || c.Resync || (v == 7 && string(c.Value) != `{"candidate":"c1"}`) {
				t.Fatalf("change %+v, want version %d", c, v)
			}
		}
		wantValue(t, o.Value(), `{"connectionDescription":{"text":"v=1","type":"offer"},"iceCandidates":[{"candidate":"c00"},{"candidate":"c1"}]}`)
		check(t, a.bus.Post(w.ctx, message.Message{Type: message.Delete, From: object.Subscription(u), To: object.Changes(u)}))
		wantEnd(t, o)
	}, "a.example", "b.example")
}

// An object of a runtime that can be reached is observed as soon as two messages take, while no Message Node answers: by one that
// is new here, and by one more. That the Registry asks nobody either, where nobody has to be asked, its own tests show.
func TestObservingWaitsForNoNode(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice := a.component("alice")
		defer alice.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":1}`)))
		for _, one := range []*runtime{a, b} {
			one.mu.Lock()
			one.nodeAway = true
			one.mu.Unlock()
		}
		for i, name := range []string{"bob", "carol"} {
			c := b.component(name)
			defer c.close()
			began := time.Now()
			o := must[*syncher.Observer](t)(c.Observe(w.ctx, r.URL()))
			if took := time.Since(began); took > 2*10*time.Millisecond {
				t.Errorf("%s observes after %v", name, took)
			}
			wantValue(t, o.Value(), fmt.Sprintf(`{"n":%d}`, i+1))
			began = time.Now()
			check(t, r.Set(w.ctx, "n", i+2))
			next(t, o)
			if took := time.Since(began); took > 10*time.Millisecond {
				t.Errorf("%s sees a change after %v", name, took)
			}
		}
	}, "a.example", "b.example")
}
