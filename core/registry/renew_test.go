package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// A connection is renewed on request of either side: messages stay on the direct path, the same side stays requester, and the
// old connection's Requester is ended.
func TestRenew(t *testing.T) {
	for _, who := range []string{"requester", "handler", "both"} {
		t.Run(who, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b, alice, bob, atA, atB := w.pair(nil)
				settle(10 * time.Second)
				old, door := a.requesters()[0].URL, b.doors[a.url]
				aRelayed, bRelayed := a.relayed, b.relayed
				if who != "handler" {
					a.reg.Renew("alpha")
				}
				if who != "requester" {
					b.reg.Renew("alpha")
				}
				a.reg.Renew("beta") // a plug-in without connections
				for range 100 {
					a.say(alice, bob)
					b.say(bob, alice)
					settle(10 * time.Millisecond)
				}
				settle(2 * time.Second)
				c := a.mustBe(b, message.Live, sdk.RoleRequester)
				b.mustBe(a, message.Live, sdk.RoleHandler)
				renewals := 1
				if who == "both" { // one after the other
					renewals = 2
				}
				if c.Stub == old || len(a.requesters()) != 1+renewals || len(b.requesters()) != 0 || c.Addresses == 0 {
					t.Errorf("%+v; Requesters %v and %v", c, a.requesters(), b.requesters())
				}
				if !a.hasEnded(old) || a.hasEnded(c.Stub) {
					t.Errorf("ended: %v", a.ended)
				}
				if b.doors[a.url] == door || b.connection(a).Door == door {
					t.Error("the door is the old one")
				}
				if a.relayed != aRelayed || b.relayed != bRelayed {
					t.Errorf("%d and %d messages left the direct path", a.relayed-aRelayed, b.relayed-bRelayed)
				}
				if atA.len() != 100 || atB.len() != 101 {
					t.Errorf("%d and %d messages came", atA.len(), atB.len())
				}
			})
		})
	}
}

// A connection that cannot be renewed goes on; the attempts end.
func TestRenewThatFails(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(nil)
		settle(10 * time.Second)
		old := a.requesters()[0].URL
		a.deployErr["alpha"] = errors.New("no process")
		a.reg.Renew("alpha")
		settle(time.Minute)
		if n := len(a.requesters()); n != 1+3 {
			t.Errorf("%d tries", n-1)
		}
		if c := a.mustBe(b, message.Live, sdk.RoleRequester); c.Stub != old || a.hasEnded(old) {
			t.Errorf("%+v, ended %v", c, a.ended)
		}
		b.mustBe(a, message.Live, sdk.RoleHandler)
		if route, err := a.resolve(bob); err != nil || !route.Direct || route.Stub != old {
			t.Errorf("%+v, %v", route, err)
		}
		delete(a.deployErr, "alpha")
		b.reg.Renew("alpha")
		settle(2 * time.Second)
		if c := a.mustBe(b, message.Live, sdk.RoleRequester); c.Stub == old {
			t.Errorf("%+v", c)
		}
	})
}

// The old connection ends before the new one is live: then the new set-up is like any other.
func TestOldEndsWhileItIsRenewed(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(nil)
		settle(10 * time.Second)
		old := a.requesters()[0].URL
		b.deaf = true // the invitation is not answered yet
		a.reg.Renew("alpha")
		settle(100 * time.Millisecond)
		b.deaf = false
		a.mustBe(b, message.Live, sdk.RoleRequester)
		a.status(old, message.Disconnected, b.url)
		settle(10 * time.Millisecond)
		c := a.mustBe(b, message.InProgress, sdk.RoleRequester)
		if route, err := a.resolve(bob); c.Stub == old || err != nil || route.Direct {
			t.Errorf("%+v, %+v, %v", c, route, err)
		}
		settle(15 * time.Second) // the set-up's time is over: the next transport
		if c := a.mustBe(b, message.Live, sdk.RoleRequester); c.Plugin != "beta" {
			t.Errorf("%+v", c)
		}
	})
}

// For a while the Handler's statuses are about two connections.
func TestHandlerKeeps(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		settle(10 * time.Second)
		handler, door := b.url.Join("p2phandler", "alpha"), b.doors[a.url]
		created := func(keep bool) {
			t.Helper()
			if keep {
				ask(t, b, a.url.Join("registry"), methodKeep, message.CodeOK)
			}
			answer, err := b.bus.Request(w.ctx, statusMessage(handler, message.Created, a.url))
			if err == nil {
				_, err = answer.OK()
			}
			var body struct {
				Value struct{ Keep bool }
			}
			if err != nil || answer.Decode(&body) != nil || body.Value.Keep != keep {
				t.Fatalf("created was answered %s, %v", answer.Body, err)
			}
		}
		created(true)
		b.status(handler, message.InProgress, a.url)
		b.status(handler, message.Failed, a.url) // the new one
		settle(100 * time.Millisecond)
		if c := b.mustBe(a, message.Live, sdk.RoleHandler); c.Door != door {
			t.Errorf("%+v", c)
		}
		created(true)
		b.status(handler, message.Live, a.url) // without in-progress: refused
		settle(100 * time.Millisecond)
		if c := b.mustBe(a, message.Live, sdk.RoleHandler); c.Door != door {
			t.Errorf("%+v", c)
		}
		b.status(handler, message.Disconnected, a.url) // the old one
		settle(100 * time.Millisecond)
		b.mustBe(a, message.Created, sdk.RoleHandler)
		b.status(handler, message.InProgress, a.url)
		b.status(handler, message.Live, a.url)
		settle(100 * time.Millisecond)
		if c := b.mustBe(a, message.Live, sdk.RoleHandler); c.Door == door {
			t.Errorf("%+v", c)
		}
		created(false) // a promise to keep is valid once
		b.mustBe(a, message.Created, sdk.RoleHandler)
	})
}

// ask sends an execute to a Registry and checks the answer's code.
func ask(t *testing.T, s *side, from message.URL, method string, want int) {
	t.Helper()
	m := message.Message{ID: message.NumberID(99), Type: message.Execute, From: from, To: s.reg.url, Body: message.Encode(executeBody{Method: method})}
	answers := make(chan message.Message, 1)
	stop := s.w.sides[from.Runtime()].bus.Listen(from, func(_ context.Context, m message.Message) {
		if m.Type == message.Response && m.ID == message.NumberID(99) {
			answers <- m
		}
	})
	defer stop()
	s.bus.Arrive(s.w.ctx, from.Runtime(), "door", m)
	settle(100 * time.Millisecond)
	select {
	case m := <-answers:
		if r, err := m.Result(); err != nil || r.Code != want {
			t.Errorf("%s from %s: %s, want %d", method, from, m.Body, want)
		}
	default:
		t.Errorf("%s from %s was not answered", method, from)
	}
}

// Only the other side's Registry can request something of this one, and only about a connection that exists.
func TestWhoMayHaveItRenewed(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		c := w.add("c", "example.com", nil)
		settle(10 * time.Second)
		registry := func(s *side) message.URL { return s.url.Join("registry") }
		ask(t, a, registry(c), methodRenew, message.CodeNotFound)
		ask(t, b, registry(c), methodKeep, message.CodeNotFound)
		ask(t, a, registry(b), methodKeep, message.CodeNotFound)  // a is the requester
		ask(t, b, registry(a), methodRenew, message.CodeNotFound) // b is the handler
		ask(t, a, registry(b), "explode", message.CodeBadRequest)
		ask(t, a, b.url.Join("sm"), methodRenew, message.CodeForbidden)
		if n := len(a.requesters()); n != 1 {
			t.Errorf("%d Requesters", n)
		}
		for range 20 { // one renewal at a time, however often it is requested
			ask(t, a, registry(b), methodRenew, message.CodeOK)
		}
		settle(2 * time.Second)
		if n := len(a.requesters()); n > 1+21 {
			t.Errorf("%d Requesters", n)
		}
		a.mustBe(b, message.Live, sdk.RoleRequester)
	})
}
