package registry

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestOwnObjectsAreNobodyElses(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		alice, _ := a.hyperty("alice")
		mine, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: alice, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, a.reg.Verify(w.ctx, b.url, mine.Join("changes")), message.CodeForbidden)
		if _, ok := a.reg.directory.Find(mine); ok {
			t.Error("it was learned as another's")
		}
	})
}

// A follower is one as long as there is a connection with it: what is published would wait for a runtime that may have gone. When
// there is one again it follows again.
func TestFollowersOfEndedConnectionsAreDropped(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		settle(10 * time.Second)
		followers := func(want int) {
			t.Helper()
			var forwards int
			b.reg.ask(w.ctx, func() { forwards = len(b.reg.forwards) })
			if n := b.reg.Snapshot().Followers; n != want || forwards != want {
				t.Errorf("%d followers, updates go to %d, want %d", n, forwards, want)
			}
		}
		followers(1)
		a.change(func() { a.mute = true })
		b.status(b.url.Join("p2phandler", "alpha"), message.Disconnected, a.url)
		settle(10 * time.Millisecond)
		followers(0)
		a.change(func() { a.mute = false })
		a.status(a.requesters()[0].URL, message.Disconnected, b.url)
		settle(time.Minute)
		a.mustBe(b, message.Live, sdk.RoleRequester)
		followers(1)
	})
}

// told returns the executes that a Handler of s gets.
func (s *side) told(plugin string) <-chan executeBody {
	bodies := make(chan executeBody, 16)
	s.bus.Listen(s.url.Join("p2phandler", plugin), func(_ context.Context, m message.Message) {
		var body executeBody
		if m.Type == message.Execute && m.Decode(&body) == nil {
			bodies <- body
		}
	})
	return bodies
}

func TestAPeerThatComesWithAnotherTransport(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		told := b.told("alpha")
		if code := b.created("beta", a.url); code != message.CodeOK {
			t.Fatal(code)
		}
		synctest.Wait()
		if c := b.mustBe(a, message.Created, sdk.RoleHandler); c.Plugin != "beta" {
			t.Errorf("%+v", c)
		}
		select {
		case body := <-told:
			if body.Method != "disconnect" || len(body.Params) != 1 || body.Params[0] != a.url {
				t.Errorf("%+v", body)
			}
		default:
			t.Error("the Handler of the replaced connection was not told")
		}
	})
}

func TestAChannelThatDiesWhileItsDoorIsRegistered(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		b.deaf = true // the Handler does not answer the registration
		handler := b.url.Join("p2phandler", "alpha")
		if code := b.created("alpha", a.url); code != message.CodeOK {
			t.Fatal(code)
		}
		b.status(handler, message.InProgress, a.url)
		b.status(handler, message.Live, a.url)
		settle(time.Millisecond)
		b.mustBe(a, message.InProgress, sdk.RoleHandler) // it is live only when the door is open
		b.status(handler, message.Disconnected, a.url)
		settle(time.Millisecond)
		b.mustBe(a, message.Failed, sdk.RoleHandler)
	})
}

// slowDeployer takes a long time, and notes in which order deployments and stubs ended.
type slowDeployer struct {
	mu    sync.Mutex
	order []string
}

func (d *slowDeployer) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.order = append(d.order, s)
}

func (d *slowDeployer) Deploy(ctx context.Context, what Deployment) error {
	if what.Role == sdk.RoleNode {
		return nil
	}
	time.Sleep(3 * time.Second) // it does not even listen to ctx
	d.note("deployed")
	return ctx.Err()
}

func (d *slowDeployer) Undeploy(context.Context, message.URL) error {
	d.note("undeployed")
	return nil
}

func TestAStubIsEndedOnlyAfterItWasDeployed(t *testing.T) {
	inWorld(t, func(w *world) {
		slow := &slowDeployer{}
		b := w.add("b", "example.com", func(o *Options) { o.Deployer = slow; o.P2P.Prefer = []string{"alpha"} })
		a := w.add("a", "example.com", nil)
		alice, _ := a.hyperty("alice")
		b.resolve(alice)
		settle(time.Second)
		if code := b.created("alpha", a.url); code != message.CodeOK { // the runtime with the lower URL requests too
			t.Fatal(code)
		}
		settle(5 * time.Second)
		slow.mu.Lock()
		defer slow.mu.Unlock()
		if len(slow.order) != 2 || slow.order[0] != "deployed" || slow.order[1] != "undeployed" {
			t.Errorf("%v", slow.order)
		}
	})
}

// endingDeployer is a Deployer whose stubs do something when they are ended.
type endingDeployer struct {
	slowDeployer
	last func(stub message.URL)
}

func (d *endingDeployer) Undeploy(ctx context.Context, stub message.URL) error {
	d.last(stub)
	return d.slowDeployer.Undeploy(ctx, stub)
}

// A Requester that has lost the glare deletes its own Connection object while it ends. That is no forgery.
func TestAStubThatIsDroppedTakesBackWhatItMade(t *testing.T) {
	inWorld(t, func(w *world) {
		d := &endingDeployer{}
		b := w.add("b", "example.com", func(o *Options) { o.Deployer = d; o.P2P.Prefer = []string{"alpha"} })
		a := w.add("a", "example.com", nil)
		var dropped message.URL
		d.last = func(stub message.URL) {
			dropped = stub
			if _, known := b.reg.Stub(stub); known {
				t.Errorf("%s is still in the table", stub)
			}
			if err := b.reg.VerifyLocal(stub, stub); err != nil {
				t.Errorf("while it ends: %v", err)
			}
			if err := b.reg.VerifyLocal(stub, b.url.Join("sm")); err == nil {
				t.Error("it may post as another")
			}
		}
		alice, _ := a.hyperty("alice")
		b.resolve(alice)
		settle(time.Second)
		if code := b.created("alpha", a.url); code != message.CodeOK { // the runtime with the lower URL requests too
			t.Fatal(code)
		}
		settle(5 * time.Second)
		if dropped == "" {
			t.Fatal("no Requester was ended")
		}
		if err := b.reg.VerifyLocal(dropped, dropped); err == nil {
			t.Error("it may post after its end")
		}
	})
}

func TestWithoutADeployer(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Deployer = nil })
		_, err := a.resolve("domain://registry.example.com")
		wantCode(t, err, message.CodeUnavailable)
		if _, err := a.reg.RouteTo("hyperty-runtime://example.com/z"); err == nil {
			t.Error("a way without a stub")
		}
	})
}

// A Registry whose PathChanged blocks still resolves.
func TestPathChangedHoldsUpNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		release := make(chan struct{})
		a := w.add("a", "example.com", func(o *Options) {
			o.PathChanged = func(message.URL, bus.Route) { <-release }
		})
		b := w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		settle(time.Second)
		a.mustBe(b, message.Live, sdk.RoleRequester)
		if route, err := a.resolve(bob); err != nil || !route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
		close(release)
	})
}

func TestMessagesToADoor(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan message.URL, 1)
		_, b, _, _, _, _ := w.pair(func(o *Options) {
			o.Sandbox = func(_ context.Context, stub message.URL, m message.Message) error {
				got <- stub
				return errors.New("said so")
			}
		})
		for _, door := range b.doors {
			b.bus.Post(w.ctx, message.Message{Type: message.Update, From: b.url.Join("sm"), To: door})
		}
		if stub := <-got; stub != b.url.Join("p2phandler", "alpha") {
			t.Error(stub)
		}
	})
}
