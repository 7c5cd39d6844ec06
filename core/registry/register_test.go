package registry

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestRegisterHyperty(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		url, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "bob", User: "user://example.com/bob", Resources: []string{"chat"}})
		if err != nil || url != "hyperty://example.com/bob" {
			t.Fatal(url, err)
		}
		var e map[string]any
		if err := json.Unmarshal(w.entries[url], &e); err != nil {
			t.Fatal(err)
		}
		for field, want := range map[string]any{
			"url": string(url), "runtime": string(a.url), "status": "live", "expires": 3600.0, "user": "user://example.com/bob",
			"p2pHandler":   string(a.url.Join("p2phandler", "alpha")),
			"p2pRequester": "hyperty-catalogue://catalogue.example.com/.well-known/protocolstub/alpha",
			"descriptor":   "hyperty-catalogue://catalogue.example.com/.well-known/hyperty/bob",
		} {
			if e[field] != want {
				t.Errorf("%s is %v, want %v", field, e[field], want)
			}
		}
		if list := e["p2pHandlers"].([]any); len(list) != 2 || list[1].(map[string]any)["name"] != "beta" {
			t.Errorf("p2pHandlers: %v", list)
		}
		if e["dataSchemes"] == nil {
			t.Error("dataSchemes is missing: the Domain Registry wants it")
		}
		_, err = a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "bob"})
		wantCode(t, err, message.CodeConflict)
		_, err = b.reg.RegisterHyperty(w.ctx, Hyperty{Name: "bob"})
		wantCode(t, err, message.CodeConflict)
		for _, bad := range []string{"a/b", "white space", strings.Repeat("x", 2000), "/"} {
			if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: bad}); err == nil {
				t.Errorf("the name %.20q was taken", bad)
			}
		}
		if err := a.reg.Unregister(w.ctx, url); err != nil || !w.gone[url] {
			t.Errorf("unregistered: %v; disconnected at the Domain Registry: %v", err, w.gone[url])
		}
		if again, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "bob"}); err != nil || again != url || w.gone[url] {
			t.Error("the same runtime's name again:", again, err)
		}
		wantCode(t, a.reg.Unregister(w.ctx, "hyperty://example.com/nobody"), message.CodeNotFound)
	})
}

func TestAddressesComeInBlocks(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Own.PoolBlock = 4 })
		got := map[message.URL]bool{}
		results := make(chan message.URL, 10)
		for range 10 {
			w.wait.Go(func() {
				url, err := a.reg.Allocate(w.ctx, "comm")
				if err != nil {
					t.Error(err)
				}
				results <- url
			})
		}
		for range 10 {
			got[<-results] = true
		}
		if len(got) != 10 || w.allocated != 12 {
			t.Errorf("%d addresses out of %d allocated", len(got), w.allocated)
		}
		if _, err := a.reg.Allocate(w.ctx, "no scheme"); err == nil {
			t.Error("a malformed scheme was taken")
		}
		w.change(func() { w.down = true })
		_, err := a.reg.Allocate(w.ctx, "ctxt")
		wantCode(t, err, message.CodeUnavailable)
		w.change(func() { w.down = false })
		if _, err := a.reg.Allocate(w.ctx, "ctxt"); err != nil {
			t.Error(err)
		}
	})
}

func TestEntriesAreRefreshed(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Own.Expires = 10 * time.Minute })
		alice, _ := a.hyperty("alice")
		updates := func() (n int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, m := range w.asked {
				if m.Type == message.Update && m.To == message.DomainRegistryAddress("example.com") {
					n++
				}
			}
			return n
		}
		settle(time.Hour)
		if n := updates(); n < 12 || n > 14 { // every 272 s
			t.Errorf("%d updates in an hour", n)
		}
		w.change(func() { delete(w.entries, alice) })
		settle(5 * time.Minute)
		if w.entries[alice] == nil {
			t.Error("a lost entry was not made again")
		}
		before := updates()
		a.status(a.url.Join("protostub", "example.com"), message.Live, "")
		a.status(a.url.Join("protostub", "example.com"), message.Disconnected, "")
		a.status(a.url.Join("protostub", "example.com"), message.Live, "")
		settle(3 * time.Second)
		if n := updates(); n != before+1 {
			t.Errorf("%d updates when the node came back", n-before)
		}
	})
}

func TestANodeThatComesLate(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		url, err := a.reg.Allocate(w.ctx, message.SchemeHyperty)
		if err != nil {
			t.Fatal(err)
		}
		_ = url
		w.change(func() { w.down = true })
		w.wait.Go(func() {
			time.Sleep(7 * time.Second)
			w.change(func() { w.down = false })
		})
		if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{}); err != nil {
			t.Error(err)
		}
	})
}

func TestRegistrationThatFailsLeavesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		if _, err := a.reg.Allocate(w.ctx, message.SchemeHyperty); err != nil {
			t.Fatal(err)
		}
		w.change(func() { w.down = true })
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := a.reg.RegisterHyperty(ctx, Hyperty{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		settle(time.Second)
		if s := a.reg.Snapshot(); len(s.Hyperties) != 0 {
			t.Errorf("%+v", s.Hyperties)
		}
		w.change(func() { w.down = false })
	})
}

func TestRegisterObject(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		alice, _ := a.hyperty("alice")
		url, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Name: "room", Schema: "hyperty-catalogue://catalogue.example.com/.well-known/dataschema/Communication",
			Reporter: alice, Resources: []string{"chat"}})
		if err != nil || url.Scheme() != "comm" || w.entries[url] == nil {
			t.Fatal(url, err)
		}
		for what, o := range map[string]Object{
			"somebody else's reporter": {Scheme: "comm", Reporter: "hyperty://example.com/nobody"},
			"an object as reporter":    {Scheme: "comm", Reporter: url},
			"a path":                   {URL: "comm://example.com/x/y", Reporter: alice},
			"a runtime's address":      {URL: a.url, Reporter: alice},
			"a function's address":     {URL: "domain://registry.example.com", Reporter: alice},
			"an address in use":        {URL: url, Reporter: alice},
			"a hyperty's address":      {URL: alice, Reporter: alice},
		} {
			if _, err := a.reg.RegisterObject(w.ctx, o); err == nil {
				t.Errorf("%s was taken", what)
			}
		}
		if given, err := a.reg.RegisterObject(w.ctx, Object{URL: "ctxt://example.com/mine", Reporter: alice, Private: true}); err != nil || w.entries[given] != nil {
			t.Error(given, err)
		}
		if s := a.reg.Snapshot(); len(s.Objects) != 2 || len(s.Hyperties) != 1 || s.Objects[0].Reporter != alice {
			t.Errorf("%+v", s)
		}
		if _, err := json.Marshal(a.reg.Snapshot()); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseSaysGoodbye(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		alice, _ := a.hyperty("alice")
		if err := a.reg.Close(w.ctx); err != nil {
			t.Fatal(err)
		}
		if !w.gone[alice] {
			t.Error("the Domain Registry still has alice live")
		}
		if _, err := a.resolve("hyperty://example.com/x"); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "x"}); err == nil {
			t.Error("registered at a closed Registry")
		}
		a.reg.Snapshot()
	})
}

func TestCloseWithANodeThatDoesNotAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		a.hyperty("alice")
		w.change(func() { w.down = true })
		start := time.Now()
		if err := a.reg.Close(w.ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestStubsOfTheWiring(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		own := a.url.Join("protostub", "mine")
		a.reg.AddStub(Stub{URL: own, Role: sdk.RoleNode, Plugin: "node-stub", Domain: "example.com"})
		route, err := a.resolve("domain://registry.example.com")
		if err != nil || route.Stub != own || len(a.deployments()) != 0 {
			t.Errorf("%+v, %v, %v", route, err, a.deployments())
		}
		a.status(own, message.InProgress, "")
		settle(time.Millisecond)
		if s, ok := a.reg.Stub(own + "/"); !ok || s.State != message.InProgress || s.Plugin != "node-stub" {
			t.Errorf("%+v", s)
		}
		a.status(own, message.Failed, "") // it tries again by itself
		settle(time.Millisecond)
		if route, err := a.resolve("domain://registry.example.com"); err != nil || route.Stub != own {
			t.Errorf("%+v, %v", route, err)
		}
		handler := a.url.Join("p2phandler", "alpha")
		a.status(handler, message.Failed, "")
		settle(time.Millisecond)
		if s, ok := a.reg.Stub(handler); !ok || s.State != message.Failed {
			t.Errorf("%+v", s)
		}
		if _, ok := a.reg.Stub("hyperty-runtime://example.com/a/protostub/none"); ok {
			t.Error("an unknown stub is known")
		}
	})
}
