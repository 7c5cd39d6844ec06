package registry

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// steps are the events of s that pick takes, as text.
func (s *side) steps(pick func(trace.Event) string) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if text := pick(e); text != "" {
			list = append(list, text)
		}
	}
	return list
}

func TestRegistrationForHandlerInTheSpecifiedOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, _, _, _ := w.pair(nil)
		handler := b.url.Join("p2phandler", "alpha")
		door := b.doors[a.url]
		got := b.steps(func(e trace.Event) string {
			switch {
			case e.Kind == trace.Status && e.From == handler && e.Peer == a.url:
				return "status " + e.Value
			case e.Kind == trace.Connection && e.Peer == a.url:
				return "connection " + e.Value + " " + string(e.Via)
			case e.Kind == trace.Door && e.Peer == a.url:
				return "door " + string(e.Via)
			case e.Kind == trace.Listener && e.Via == handler:
				return "listener " + string(e.To)
			case e.Kind == trace.Post && e.Type == message.Subscribe:
				return "post subscribe to " + string(e.To)
			case e.Kind == trace.Deliver && e.Type == message.Subscribe && e.To == handler:
				return "handler got subscribe"
			case e.Kind == trace.Learned && e.To == alice && e.Via == door:
				return "learned alice"
			}
			return ""
		})
		want := []string{
			"status created", "connection created ",
			"status in-progress", "connection in-progress ",
			"status live", "door " + string(door), "listener " + string(door),
			"post subscribe to " + string(handler), "handler got subscribe", "connection live " + string(door),
			"post subscribe to " + string(a.url.Join("registry")), "learned alice",
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got\n%q\nwant\n%q", got, want)
		}
		got = a.steps(func(e trace.Event) string {
			switch {
			case e.Kind == trace.Arrive && e.Type == message.Subscribe && e.To == a.url.Join("registry"):
				return "subscribe came"
			case e.Kind == trace.Listener && e.To == a.url.Join("registry", "changes"):
				return "listener to " + string(e.Via)
			case e.Kind == trace.Post && e.Type == message.Response && e.From == a.url.Join("registry") && e.To == b.url.Join("registry"):
				return "answered"
			}
			return ""
		})
		if want := []string{"subscribe came", "listener to " + string(b.url), "answered"}; !slices.Equal(got, want) {
			t.Fatalf("the other side: %q, want %q", got, want)
		}
	})
}

// The way to a runtime is changed before the state of the connection is published: a message that is sent because the
// connection is live goes directly, one that is sent because it is not live any more does not.
func TestStateIsShownOnceTheWayIsChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		var mu sync.Mutex // both sides append
		shown := map[bool]int{}
		a, b, _, _, _, _ := w.pair(func(o *Options) {
			o.Trace.Watch(func(e trace.Event) {
				if e.Kind != trace.Connection {
					return
				}
				live := e.Value == message.Live.String()
				if route, err := w.sides[o.Runtime].reg.RouteTo(e.Peer); err != nil || route.Direct != live {
					t.Errorf("%s: at %q the way is %+v, %v", o.Runtime, e.Value, route, err)
				}
				mu.Lock()
				defer mu.Unlock()
				shown[live]++
			}, false)
		})
		mu.Lock()
		before := shown[false]
		mu.Unlock()
		a.status(a.requesters()[0].URL, message.Disconnected, b.url)
		b.status(b.url.Join("p2phandler", "alpha"), message.Disconnected, a.url)
		settle(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if shown[true] < 4 || shown[false] < before+2 {
			t.Errorf("states that were shown, live or not: %v", shown)
		}
	})
}

func TestBothSidesRequestAtOnce(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for i := range rounds {
		inWorld(t, func(w *world) {
			a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
			alice, atA := a.hyperty("alice")
			bob, atB := b.hyperty("bob")
			late := time.Duration(i-rounds/2) * 200 * time.Microsecond // one side a bit before the other, in both orders
			if late < 0 {
				b.say(bob, alice)
				time.Sleep(-late)
				a.say(alice, bob)
			} else {
				a.say(alice, bob)
				time.Sleep(late)
				b.say(bob, alice)
			}
			settle(5 * time.Second)
			ca, cb := a.connection(b), b.connection(a)
			if ca.State != message.Live || cb.State != message.Live || ca.Role == cb.Role {
				t.Fatalf("round %d: %v as %s and %v as %s", i, ca.State, ca.Role, cb.State, cb.Role)
			}
			live := 0
			for _, d := range append(a.requesters(), b.requesters()...) {
				if !a.hasEnded(d.URL) && !b.hasEnded(d.URL) {
					live++
				}
			}
			if live != 1 {
				t.Fatalf("round %d: %d Requesters run, want 1", i, live)
			}
			if late > -4*time.Millisecond && late < 4*time.Millisecond && ca.Role != sdk.RoleRequester {
				t.Fatalf("round %d: both requested at once, and the lower URL is %s", i, ca.Role)
			}
			if atA.len() != 1 || atB.len() != 1 {
				t.Fatalf("round %d: %d and %d messages", i, atA.len(), atB.len())
			}
		})
	}
}

// created posts a Handler's created event and returns the code of the answer.
func (s *side) created(plugin string, remote message.URL) int {
	answer, err := s.bus.Request(s.w.ctx, statusMessage(s.url.Join("p2phandler", plugin), message.Created, remote))
	if err != nil {
		s.w.t.Fatal(err)
	}
	result, err := answer.Result()
	if err != nil {
		s.w.t.Fatal(err)
	}
	return result.Code
}

func TestGlareIsDecidedByTheURLs(t *testing.T) {
	for _, c := range []struct {
		own, other string
		want       int
		role       sdk.Role
	}{
		{"a", "b", message.CodeConflict, sdk.RoleRequester},
		{"b", "a", message.CodeOK, sdk.RoleHandler},
	} {
		inWorld(t, func(w *world) {
			s, o := w.add(c.own, "example.com", nil), w.add(c.other, "example.com", nil)
			s.mute = true
			there, _ := o.hyperty("there")
			s.resolve(there)
			settle(time.Second)
			s.mustBe(o, message.Created, sdk.RoleRequester)
			if code := s.created("beta", o.url); code != c.want {
				t.Errorf("%s against %s: %d, want %d", c.own, c.other, code, c.want)
			}
			settle(time.Second)
			s.mustBe(o, message.Created, c.role)
			if ended := s.hasEnded(s.requesters()[0].URL); ended != (c.role == sdk.RoleHandler) {
				t.Errorf("the own Requester ended: %v", ended)
			}
		})
	}
}

func TestAnInvitationReplacesALiveConnection(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(nil)
		settle(2 * time.Second)
		requester := a.requesters()[0].URL
		if code := a.created("beta", b.url); code != message.CodeOK {
			t.Fatalf("code %d", code)
		}
		settle(100 * time.Millisecond)
		if c := a.mustBe(b, message.Created, sdk.RoleHandler); c.Plugin != "beta" || c.Attempts != 2 {
			t.Errorf("%+v", c)
		}
		if !a.hasEnded(requester) {
			t.Error("the replaced Requester runs on")
		}
		if route, err := a.resolve(bob); err != nil || route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
	})
}

func TestALateInvitationDoesNotReplaceAFreshConnection(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		for a.connection(b).State != message.Live {
			time.Sleep(time.Millisecond)
		}
		if code := a.created("beta", b.url); code != message.CodeConflict {
			t.Errorf("code %d", code)
		}
		settle(time.Second)
		a.mustBe(b, message.Live, sdk.RoleRequester)
	})
}

func TestIllegalAndForgedStatusesChangeNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		a.mute = true
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		settle(time.Second)
		stub := a.requesters()[0].URL
		for _, value := range []message.Status{message.Live, message.Disconnected, message.Created, message.Deployed} {
			a.status(stub, value, b.url)
			settle(time.Millisecond)
			a.mustBe(b, message.Created, sdk.RoleRequester)
		}
		forged := statusMessage(stub, message.Failed, b.url)
		forged.From = a.url.Join("p2phandler", "alpha")
		answer, err := a.bus.Request(w.ctx, forged)
		if err != nil {
			t.Fatal(err)
		}
		_, err = answer.OK()
		wantCode(t, err, message.CodeForbidden)
		malformed := statusMessage(stub, message.Failed, "hyperty://example.com/no-runtime")
		answer, err = a.bus.Request(w.ctx, malformed)
		if err != nil {
			t.Fatal(err)
		}
		_, err = answer.OK()
		wantCode(t, err, message.CodeBadRequest)
		a.status(stub, message.Failed, "hyperty-runtime://example.com/another")
		a.status(a.url.Join("p2phandler", "alpha"), message.Live, b.url) // it is the Requester's connection
		a.status(a.url.Join("p2phandler", "alpha"), message.Live, "hyperty-runtime://example.com/unknown")
		settle(time.Millisecond)
		a.mustBe(b, message.Created, sdk.RoleRequester)
		if code := a.created("alpha", a.url); code != message.CodeBadRequest {
			t.Errorf("a connection with itself: %d", code)
		}
		a.status(stub, message.InProgress, "")
		a.status(stub, message.Live, "")
		settle(time.Millisecond)
		a.mustBe(b, message.Live, sdk.RoleRequester)
		a.status(stub, message.Failed, "")
		a.status(stub, message.InProgress, "")
		settle(time.Millisecond)
		a.mustBe(b, message.Live, sdk.RoleRequester)
	})
}
