package registry

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// knows tells whether s sends to url directly without a look-up.
func (s *side) knows(url message.URL) bool {
	s.w.mu.Lock()
	before := s.w.reads[url]
	s.w.mu.Unlock()
	route, err := s.resolve(url)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return err == nil && route.Direct && s.w.reads[url] == before
}

func TestChangesReachTheOtherSide(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, _, _, _ := w.pair(nil)
		carol, _ := a.hyperty("carol")
		room, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Name: "room", Reporter: alice})
		if err != nil {
			t.Fatal(err)
		}
		secret, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: alice, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		settle(100 * time.Millisecond)
		for _, u := range []message.URL{alice, carol, room, room.Join("changes")} {
			if !b.knows(u) {
				t.Errorf("%s is not known at the other side", u)
			}
		}
		if b.knows(secret) {
			t.Error("a private object is known at the other side")
		}
		if c := b.mustBe(a, message.Live, sdk.RoleHandler); c.Addresses < 3 {
			t.Errorf("%+v", c)
		}
		if err := a.reg.UnregisterObject(w.ctx, room); err != nil {
			t.Error(err)
		}
		if err := a.reg.Unregister(w.ctx, carol); err != nil {
			t.Error(err)
		}
		settle(100 * time.Millisecond)
		if b.knows(room) || b.knows(carol) || !b.knows(alice) {
			t.Error("removals did not reach the other side, or too much was removed")
		}
	})
}

func TestChangesSurviveAReconnect(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, _, _, _ := w.pair(nil)
		carol, _ := a.hyperty("carol")
		settle(10 * time.Second)
		handler := b.url.Join("p2phandler", "alpha")
		a.deaf, b.deaf = true, true
		b.status(handler, message.Disconnected, a.url)
		a.status(a.requesters()[0].URL, message.Disconnected, b.url)
		settle(5 * time.Minute) // longer than the grace: a drops its follower
		if n := a.reg.Snapshot().Followers; n != 0 {
			t.Errorf("%d followers", n)
		}
		dave, _ := a.hyperty("dave")
		a.reg.Unregister(w.ctx, carol)
		a.deaf, b.deaf = false, false
		for range 100 {
			a.say(alice, "hyperty://example.com/bob")
			settle(time.Second)
		}
		b.mustBe(a, message.Live, sdk.RoleHandler)
		if !b.knows(dave) || b.knows(carol) {
			t.Error("the list was not made good")
		}
		erin, _ := a.hyperty("erin")
		settle(time.Second)
		if !b.knows(erin) {
			t.Error("no updates after the reconnect")
		}
	})
}

// changed posts an update of s's changes to another runtime as if it came over the session.
func (s *side) changed(to *side, body changes.Body) {
	m := message.Message{Type: message.Update, From: s.url.Join("registry"), To: s.url.Join("registry", "changes"), Body: message.Encode(body)}
	s.link(to.url, func() { to.bus.Arrive(s.w.ctx, s.url, "door", m) })
	settle(500 * time.Millisecond)
}

func TestChangesWithGaps(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, bob, _, _ := w.pair(nil)
		v := a.reg.Snapshot().Version
		x, y := message.URL("comm://example.com/x"), message.URL("comm://example.com/y")
		a.changed(b, changes.Body{Operation: "add", Value: []message.URL{x}, Version: v + 1})
		if !b.knows(x) {
			t.Fatal("the next version was not taken")
		}
		a.changed(b, changes.Body{Operation: "remove", Value: []message.URL{x}, Version: v + 1})
		if !b.knows(x) {
			t.Fatal("a version was taken twice")
		}
		asked := 0
		stop := a.bus.Listen(a.url.Join("registry"), func(_ context.Context, m message.Message) {
			if m.Type == message.Subscribe {
				asked++
			}
		})
		a.changed(b, changes.Body{Operation: "add", Value: []message.URL{y}, Version: v + 3})
		stop()
		if asked != 1 {
			t.Errorf("a gap: %d subscriptions", asked)
		}
		// The list is what a has: neither x nor y.
		if b.knows(x) || b.knows(y) || !b.knows(alice) {
			t.Errorf("after the gap: x %v, y %v, alice %v", b.knows(x), b.knows(y), b.knows(alice))
		}
		a.changed(b, changes.Body{Value: []message.URL{y}, Version: v + 9})
		if !b.knows(y) || b.knows(alice) {
			t.Error("a complete list was not taken")
		}
		// Addresses that are known as another's, or that nobody may list, are not accepted.
		a.changed(b, changes.Body{Operation: "add", Value: []message.URL{bob, b.url.Join("sm"), "domain://msg-node.example.com/sm"}, Version: v + 10})
		if route, err := b.resolve(bob); err == nil {
			t.Errorf("bob is at %+v", route)
		}
		if _, ok := b.reg.directory.Find(bob); ok {
			t.Error("this runtime's own address was taken")
		}
	})
}

func TestFromManyUpdatesOneList(t *testing.T) {
	const waiting = 256 // updates
	inWorld(t, func(w *world) {
		a, b, alice, _, _, _ := w.pair(nil)
		w.change(func() { w.slow = 0 })
		a.reg.ask(w.ctx, func() { // faster than they can be posted
			for i := range 3 * waiting {
				url := message.URL(fmt.Sprintf("comm://example.com/many%d", i))
				a.reg.locals.known.Set(url, &local{url: url, reporter: alice, private: i%3 == 0})
				if i%3 != 0 {
					a.reg.publisher.Announce(changes.Add, url)
				}
			}
		})
		settle(2 * time.Second)
		for i := range 3 * waiting {
			url := message.URL(fmt.Sprintf("comm://example.com/many%d", i))
			if i%3 != 0 && !b.knows(url) {
				t.Fatalf("%s is not known", url)
			}
		}
		a.reg.ask(w.ctx, func() {
			for i := range 3 * waiting {
				a.reg.locals.known.Delete(message.URL(fmt.Sprintf("comm://example.com/many%d", i)))
			}
		})
	})
}

func TestChangesSwitchedOff(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(func(o *Options) { o.Changes.Off = true })
		if a.reg.Snapshot().Followers+b.reg.Snapshot().Followers != 0 {
			t.Error("somebody follows")
		}
		answer, err := b.bus.Request(w.ctx, message.Message{Type: message.Subscribe, From: b.url.Join("registry"), To: a.url.Join("registry"),
			Body: message.Encode(map[string]any{"subscribe": []message.URL{a.url.Join("registry", "changes")}})})
		if err != nil {
			t.Fatal(err)
		}
		_, err = answer.OK()
		wantCode(t, err, message.CodeForbidden)
	})
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		if a.reg.Snapshot().Followers != 1 || b.reg.Snapshot().Followers != 1 {
			t.Error("they do not follow each other")
		}
		b.reg.SetChanges(w.ctx, false)
		settle(time.Second)
		if a.reg.Snapshot().Followers != 0 || b.reg.Snapshot().Followers != 0 {
			t.Error("somebody follows after it was switched off")
		}
		carol, _ := a.hyperty("carol")
		settle(time.Second)
		if _, ok := b.reg.directory.Find(carol); ok {
			t.Error("an update came after it was switched off")
		}
		b.reg.SetChanges(w.ctx, true)
		settle(time.Second)
		if !b.knows(carol) {
			t.Error("it does not follow after it was switched on")
		}
	})
}

func TestWhoMayFollow(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(nil)
		c := w.add("c", "example.com", nil)
		subscribe := func(s *side, from, url message.URL) int {
			answer, err := s.bus.Request(w.ctx, message.Message{Type: message.Subscribe, From: from, To: a.url.Join("registry"),
				Body: message.Encode(map[string]any{"resources": url})})
			if err != nil {
				t.Fatal(err)
			}
			result, _ := answer.Result()
			return result.Code
		}
		list := a.url.Join("registry", "changes")
		for _, x := range []struct {
			side      *side
			from, url message.URL
			want      int
		}{
			{b, b.url.Join("registry"), list, message.CodeOK},
			{b, b.url.Join("sm"), list, message.CodeForbidden},
			{b, bob, list, message.CodeForbidden},
			{b, b.url.Join("registry"), a.url.Join("sm"), message.CodeNotFound},
			{c, c.url.Join("registry"), list, message.CodeForbidden}, // no P2P connection
			{a, a.url.Join("registry"), list, message.CodeForbidden},
		} {
			if code := subscribe(x.side, x.from, x.url); code != x.want {
				t.Errorf("%s to %s: %d, want %d", x.from, x.url, code, x.want)
			}
		}
		answer, err := b.bus.Request(w.ctx, message.Message{Type: message.Read, From: b.url.Join("registry"), To: a.url.Join("registry")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = answer.OK()
		wantCode(t, err, message.CodeBadRequest)
		synctest.Wait()
	})
}

func TestARuntimeWithoutRegistryChanges(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, bob, _, atB := w.pair(func(o *Options) { o.Lookups.Timeout = 100 * time.Millisecond })
		b.bus.Close() // b is deaf now; the connection is live
		rt, _ := a.reg.directory.Runtime(b.url)
		a.reg.ask(w.ctx, func() { a.reg.follow(rt) })
		settle(time.Minute)
		if route, err := a.resolve(bob); err != nil || !route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
		_, _ = alice, atB
	})
}

// The changes of a runtime that wait take only the memory that they are counted with, also if the listed texts are those of
// components far below its addresses.
func TestChangesDoNotKeepWhatTheirAddressesWereCutFrom(t *testing.T) {
	body := changes.Body{Operation: changes.Add, Version: 1}
	for i := range 600 {
		body.Value = append(body.Value, message.URL(fmt.Sprintf("comm://example.com/%d/%s", i, strings.Repeat("x", 900))))
	}
	m := message.Message{Type: message.Update, Body: message.Encode(body)}
	heap := func() int64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before, kept := heap(), make([]changes.Change, 20)
	for i := range kept {
		var err error
		if kept[i], err = parseChange(&m); err != nil || kept[i].URLs[7] != "comm://example.com/7" {
			t.Fatal(kept[i].URLs, err)
		}
	}
	if grown, counted := heap()-before, int64(20*600*40); grown > 4*counted {
		t.Errorf("%d bytes are kept of addresses of %d bytes", grown, counted)
	}
	runtime.KeepAlive(kept)
}
