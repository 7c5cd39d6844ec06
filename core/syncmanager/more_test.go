package syncmanager

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A reporter whose confirmation is lost sends the whole object next; observers here and elsewhere end up right.
func TestAnUnconfirmedChangeReachesObservers(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, near, bob := a.component("alice"), a.component("near"), b.component("bob")
		for _, c := range []*component{alice, near, bob} {
			defer c.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		far := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		here := must[*syncher.Observer](t)(near.Observe(w.ctx, r.URL()))
		alice.unhear() // no answer comes back
		wantCode(t, r.Set(w.ctx, "n", 1), 408)
		alice.connect()
		for _, o := range []*syncher.Observer{far, here} {
			if c := next(t, o); c.Version != 1 || c.Resync { // they saw it
				t.Fatalf("change %+v", c)
			}
		}
		check(t, r.Set(w.ctx, "m", 2))
		for _, o := range []*syncher.Observer{far, here} {
			if c := next(t, o); !c.Resync || c.Version != 2 {
				t.Fatalf("change %+v", c)
			}
			wantValue(t, o.Value(), `{"n":0,"m":2}`)
		}
		check(t, alice.Resume(w.ctx)) // into a runtime that knows it all
		for _, o := range []*syncher.Observer{far, here} {
			if c := next(t, o); !c.Resync || c.Version != 3 {
				t.Fatalf("change %+v", c)
			}
		}
		check(t, near.Resume(w.ctx))
		if c := next(t, here); !c.Resync || c.Version != 3 {
			t.Fatalf("change %+v", c)
		}
	}, "a.example", "b.example")
}

// An application that goes and is back at once gets its object's address again.
func TestDeletedAndCreatedAtOnce(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		alice := a.component("alice")
		defer alice.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		for n := range 20 {
			a.sm.ComponentGone(alice.url)
			check(t, alice.Resume(w.ctx))
			check(t, r.Set(w.ctx, "n", n))
		}
		synctest.Wait()
		if a.registered() != 1 || !strings.HasPrefix(a.left(), "1 reported to 0, 0 observed, 1 owners") {
			t.Errorf("%d registered; %s", a.registered(), a.left())
		}
	}, "a.example")
}

func TestRead(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, near, bob := a.component("alice"), a.component("near"), b.component("bob")
		for _, c := range []*component{alice, near, bob} {
			defer c.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":7}`)))
		read := func(c *component) (json.RawMessage, error) {
			answer := must[message.Message](t)(c.bus.Request(w.ctx, message.Message{Type: message.Read, From: c.url, To: c.r.sm.self, Body: message.Encode(protocol.Resource{Resource: r.URL()})}))
			return answer.OK()
		}
		want := func(c *component) {
			t.Helper()
			_, doc, err := object.ParseWhole(must[json.RawMessage](t)(read(c)))
			check(t, err)
			wantValue(t, doc.JSON(), `{"n":7}`)
		}
		want(alice)
		want(near) // it is public
		_, err := read(bob)
		wantCode(t, err, 404)
		for _, c := range []*component{alice, near, bob} { // at the object itself, from everywhere
			meta, value, err := c.Read(w.ctx, r.URL())
			check(t, err)
			wantValue(t, value, `{"n":7}`)
			if meta.Reporter != alice.url || meta.URL != r.URL() {
				t.Errorf("metadata %+v", meta)
			}
		}
		_, _, err = bob.Read(w.ctx, "comm://a.example/none")
		wantCode(t, err, 404)
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		want(bob)
		r.Allow(func(message.URL) bool { return false })
		_, err = read(near)
		wantCode(t, err, 401)
		_, _, err = near.Read(w.ctx, r.URL())
		wantCode(t, err, 401)
		// Who is not allowed any more loses the object when it is renewed.
		b.sm.Refresh(a.url)
		wantEnd(t, o)
		time.Sleep(time.Second)
		if b.left() != nothing {
			t.Errorf("left: %s", b.left())
		}
	}, "a.example", "b.example")
}

func TestLimitsOfObservers(t *testing.T) {
	run(t, func(w *world) {
		a, b, c := w.by["a.example"], w.by["b.example"], w.by["c.example"]
		alice, near, bob, bea, cid := a.component("alice"), a.component("near"), b.component("bob"), b.component("bea"), c.component("cid")
		for _, c := range []*component{alice, near, bob, bea, cid} {
			defer c.close()
		}
		a.limit(func(l *Limits) { l.Observers, l.Remotes = 1, 1 })
		b.limit(func(l *Limits) { l.PerComponent = 1 })
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{}`)))
		second := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		for _, c := range []*component{bea, cid} {
			_, err := c.Observe(w.ctx, r.URL())
			wantCode(t, err, 429)
		}
		_, err := bob.Observe(w.ctx, second.URL())
		wantCode(t, err, 429)
		_ = must[*syncher.Observer](t)(near.Observe(w.ctx, r.URL()))
		_, err = alice.Observe(w.ctx, r.URL())
		wantCode(t, err, 429)
		check(t, o.Close(w.ctx))
		time.Sleep(time.Second)
		_ = must[*syncher.Observer](t)(cid.Observe(w.ctx, r.URL()))
		time.Sleep(time.Second)
		if b.left() != nothing || !strings.HasPrefix(a.left(), "2 reported to 1,") {
			t.Errorf("left: %s; %s", a.left(), b.left())
		}
	}, "a.example", "b.example", "c.example")
}

// What a remote runtime or a component sends that makes no sense is refused and changes nothing.
func TestNonsenseIsRefused(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		time.Sleep(time.Second) // what tells the nodes has ended
		before := a.left() + b.left()
		sub := object.Subscription(r.URL())
		for _, c := range []struct {
			m    message.Message
			code int
		}{
			{message.Message{Type: message.Update, From: alice.url, To: a.sm.self, Body: []byte(`{"resource":"comm://a.example/o1","version":5,"attribute":"n","value":1}`)}, 409},
			{message.Message{Type: message.Update, From: alice.url, To: a.sm.self, Body: []byte(`{"resource":"comm://a.example/o1","attribute":"n","value":1}`)}, 409},
			{message.Message{Type: message.Update, From: alice.url, To: a.sm.self, Body: []byte(`{"resource":"comm://a.example/o1","version":1,"attribute":"n.x","value":1}`)}, 400},
			{message.Message{Type: message.Update, From: alice.url, To: a.sm.self, Body: []byte(`{"resource":"comm://a.example/o1","value":{"version":0}}`)}, 409},
			{message.Message{Type: message.Update, From: alice.url, To: a.sm.self, Body: []byte(`{"resource":"comm://a.example/o1","value":[]}`)}, 400},
			{message.Message{Type: message.Update, From: alice.url, To: a.sm.self, Body: []byte(`{"lastModified":"` + strings.Repeat("x", 100) + `"}`)}, 400},
			{message.Message{Type: message.Update, From: alice.url, To: a.sm.self, Body: []byte(`{"version":-1}`)}, 400},
			{message.Message{Type: message.Create, From: alice.url, To: a.sm.self, Body: []byte(`{"resource":"comm://a.example/o1","authorise":["hyperty://x/y","hyperty://x/z"]}`)}, 400},
			{message.Message{Type: message.Create, From: alice.url, To: a.sm.self, Body: []byte(`{"scheme":"no scheme"}`)}, 400},
			{message.Message{Type: message.Create, From: alice.url, To: a.sm.self, Body: []byte(`{"resource":"comm://a.example/none","authorise":"hyperty://x/y"}`)}, 404},
			{message.Message{Type: message.Subscribe, From: b.sm.self, To: sub}, 400},
			{message.Message{Type: message.Subscribe, From: b.sm.self, To: sub, Source: "hyperty-runtime://c.example/r/x"}, 403},
			{message.Message{Type: message.Subscribe, From: bob.url, To: sub, Source: bob.url}, 403},
			{message.Message{Type: message.Execute, From: b.sm.self, To: sub}, 400},
			{message.Message{Type: message.Subscribe, From: b.sm.self, To: r.URL(), Source: bob.url}, 400},
			{message.Message{Type: message.Subscribe, From: b.sm.self, To: sub, Body: []byte(`{"subscriber":7}`)}, 400},
		} {
			from := a.bus
			if c.m.From != alice.url {
				from = b.bus
			}
			answer := must[message.Message](t)(from.Request(w.ctx, c.m))
			_, err := answer.OK()
			var got int
			if err != nil {
				got = protocol.CodeOf(err)
			}
			if got != c.code {
				t.Errorf("%s %s %s: %d, want %d", c.m.Type, c.m.To, c.m.Body, got, c.code)
			}
		}
		for _, body := range []string{`{"version":"x"}`, `{"lastModified":"` + strings.Repeat("x", 100) + `","attribute":"n"}`, `{"value":7}`, `{"version":9,"value":{"version":9,"data":[]}}`} {
			check(t, a.bus.Post(w.ctx, message.Message{Type: message.Update, From: r.URL(), To: object.Changes(r.URL()), Body: []byte(body)}))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if a.left()+b.left() != before {
			t.Errorf("left: %s; %s, before %s", a.left(), b.left(), before)
		}
		wantValue(t, o.Value(), `{"n":0}`)
		check(t, r.Set(w.ctx, "n", 1))
		if c := next(t, o); c.Version != 1 {
			t.Errorf("change %+v", c)
		}
	}, "a.example", "b.example")
}

// Nobody waits behind an observer that does not answer its invitation, nor behind a reporter that does not say
// whether an observer may subscribe.
func TestNobodyWaitsForAnother(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob, bea := a.component("alice"), b.component("bob"), b.component("bea")
		defer alice.close()
		defer bea.close()
		bob.OnInvite(func(ctx context.Context, _ syncher.Invitation) { <-ctx.Done() })
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		refused := make(chan error)
		go func() { refused <- r.Invite(w.ctx, bob.url) }()
		synctest.Wait()
		began := time.Now()
		o := must[*syncher.Observer](t)(bea.Observe(w.ctx, r.URL()))
		check(t, r.Set(w.ctx, "n", 1))
		if c := next(t, o); c.Version != 1 || time.Since(began) > time.Second {
			t.Errorf("change %+v after %v", c, time.Since(began))
		}
		wantCode(t, <-refused, 408)
		bob.close()
	}, "a.example", "b.example")
}

func BenchmarkUpdate(b *testing.B) {
	w := &world{ctx: b.Context(), by: make(map[string]*runtime)}
	r := &runtime{w: w, domain: "a.example", url: "hyperty-runtime://a.example/r", objects: make(map[message.URL]registry.Object), nodeSays: 200}
	r.start()
	defer r.stop()
	alice := r.component("alice")
	defer alice.close()
	rep, err := alice.Create(w.ctx, obj(`{"n":0}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := rep.Set(w.ctx, "n", 1); err != nil {
			b.Fatal(err)
		}
	}
	w.wg.Wait()
}
