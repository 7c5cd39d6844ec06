package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestReconnect(t *testing.T) {
	for _, proactive := range []bool{true, false} {
		t.Run(fmt.Sprintf("proactive=%v", proactive), func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b, alice, bob, _, atB := w.pair(nil)
				settle(10 * time.Second)
				requester, door := a.requesters()[0].URL, b.doors[a.url]
				a.status(requester, message.Disconnected, b.url)
				b.status(b.url.Join("p2phandler", "alpha"), message.Disconnected, a.url)
				settle(10 * time.Millisecond)
				a.mustBe(b, message.Disconnected, sdk.RoleRequester)
				b.mustBe(a, message.Disconnected, sdk.RoleHandler)
				if !proactive {
					for range 5 {
						a.say(alice, bob)
						b.say(bob, alice)
					}
					settle(50 * time.Millisecond)
					if atB.len() != 6 {
						t.Errorf("%d messages", atB.len())
					}
				} else {
					settle(time.Second)
				}
				c := a.mustBe(b, message.Live, sdk.RoleRequester)
				b.mustBe(a, message.Live, sdk.RoleHandler)
				if c.Stub != requester || a.reconnects != 1 || len(a.requesters()) != 1 || len(b.requesters()) != 0 {
					t.Errorf("%+v, %d reconnects, requesters %v and %v", c, a.reconnects, a.requesters(), b.requesters())
				}
				if b.doors[a.url] == door {
					t.Error("the door of the ended connection is used again")
				}
				if c.Addresses == 0 {
					t.Error("no address joined the new connection")
				}
			})
		})
	}
}

func TestReconnectThatFailsEndsTheRequester(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(nil)
		settle(10 * time.Second)
		requester := a.requesters()[0].URL
		a.mute = true
		a.status(requester, message.Disconnected, b.url)
		settle(time.Second)
		a.mustBe(b, message.Created, sdk.RoleRequester)
		settle(15 * time.Second)
		if !a.hasEnded(requester) {
			t.Error("the Requester runs on")
		}
		if c := a.mustBe(b, message.Created, sdk.RoleRequester); c.Plugin != "beta" {
			t.Errorf("%+v", c)
		}
		if route, err := a.resolve(bob); err != nil || route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
	})
}

func TestAskedToConnectAgainUntilItHears(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		settle(10 * time.Second)
		d := a.requesters()[0]
		a.lost = 2 // the stub's process is just starting again: executes to it are lost
		a.status(d.URL, message.Disconnected, b.url)
		b.status(b.url.Join("p2phandler", "alpha"), message.Disconnected, a.url)
		settle(10 * time.Second)
		if c := a.mustBe(b, message.Live, sdk.RoleRequester); c.Stub != d.URL || a.reconnects != 1 || a.lost != 0 {
			t.Errorf("%+v, %d reconnects, %d to lose", c, a.reconnects, a.lost)
		}
	})
}

func TestHandlersEntryGoes(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, _, _, _ := w.pair(nil)
		settle(10 * time.Second)
		b.status(b.url.Join("p2phandler", "alpha"), message.Disconnected, a.url)
		settle(time.Second)
		b.say("hyperty://example.com/bob", alice)
		settle(time.Second)
		b.mustBe(a, message.Disconnected, sdk.RoleHandler) // it waits for the Requester
		settle(2 * time.Second)
		if c := b.connection(a); c.State != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestUnstableConnectionWaitsLonger(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		start, ends := time.Now(), 0
		for time.Since(start) < 2*time.Minute {
			if c := a.connection(b); c.State == message.Live {
				a.status(c.Stub, message.Disconnected, b.url)
				b.status(b.url.Join("p2phandler", "alpha"), message.Disconnected, a.url)
				ends++
			}
			settle(50 * time.Millisecond)
		}
		if ends < 4 || ends > 12 {
			t.Errorf("%d connections that ended at once in two minutes", ends)
		}
	})
}
