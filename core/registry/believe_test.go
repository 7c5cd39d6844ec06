package registry

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// fields is an entry as the node has it.
type fields map[string]any

func (w *world) entry(url message.URL) fields {
	w.mu.Lock()
	defer w.mu.Unlock()
	var e fields
	if err := json.Unmarshal(w.entries[url], &e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// answer makes the Domain Registry answer something else about url.
func (w *world) answer(url message.URL, what any) {
	w.change(func() {
		w.cheat = func(asked message.URL, _ json.RawMessage) any {
			if asked == url {
				return what
			}
			return nil
		}
	})
}

func (w *world) honest() { w.change(func() { w.cheat = nil }) }

// untrusted are the reasons why entries of url were refused.
func (s *side) untrusted(url message.URL) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == trace.Untrusted && e.To == url {
			list = append(list, e.Value)
		}
	}
	return list
}

func wantRefusal(t *testing.T, what string, err error, code int, why string) {
	t.Helper()
	var no *message.ResponseError
	if !errors.As(err, &no) || no.Code != code || !strings.Contains(no.Description, why) {
		t.Errorf("%s: %v, want %d with %q", what, err, code, why)
	}
}

func TestSignedEntries(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.signed(1, nil), w.signed(2, nil)
		alice, atA := a.hyperty("alice")
		bob, atB := b.hyperty("bob")
		a.say(alice, bob)
		settle(time.Second)
		b.say(bob, alice)
		settle(time.Second)
		a.mustBe(b, message.Live, sdk.RoleRequester)
		if atA.len() != 1 || atB.len() != 1 || len(a.untrusted(bob)) > 0 {
			t.Errorf("%d and %d messages; %v", atA.len(), atB.len(), a.untrusted(bob))
		}
		c := w.signed(3, unconnected)
		if _, err := c.resolve(bob); err != nil {
			t.Fatal(err)
		}
		wantCode(t, c.reg.VerifyLocal(c.url.Join("protostub", "example.com"), bob), message.CodeForbidden) // a node posts in bob's name
		forget(c, bob)
		if err := b.reg.Unregister(w.ctx, bob); err != nil {
			t.Fatal(err)
		}
		_, err := c.resolve(bob)
		wantCode(t, err, message.CodeTimeout)
	})
}

// Whatever a node changes in an entry, leaves out or puts together, the entry is ignored, and the sender is told why. Other
// entries are not affected.
func TestForgedEntriesAreNone(t *testing.T) {
	alter := func(field string, value any) func(e, other fields) { return func(e, _ fields) { e[field] = value } }
	handlers := func(name string, value any) func(e, other fields) {
		return func(e, _ fields) { e["p2pHandlers"].([]any)[0].(map[string]any)[name] = value }
	}
	inProof := func(name string, value any) func(e, other fields) {
		return func(e, _ fields) { e["proof"].(map[string]any)[name] = value }
	}
	swap := func(name string) func(e, other fields) {
		return func(e, other fields) { e["proof"].(map[string]any)[name] = other["proof"].(map[string]any)[name] }
	}
	for name, x := range map[string]struct {
		cheat func(e, other fields) // other is carol's
		why   string
	}{
		"no proof":               {func(e, _ fields) { delete(e, "proof") }, "proof is missing"},
		"an unreadable proof":    {alter("proof", 7), "a key of 0 bytes"},
		"an unreadable field":    {alter("resources", 7), "a key of 0 bytes"},
		"null proof":             {alter("proof", nil), "proof is missing"},
		"another's proof":        {func(e, other fields) { e["proof"] = other["proof"] }, "not the one that"},
		"another runtime":        {func(e, other fields) { e["runtime"] = other["runtime"] }, "not the one that"},
		"another's whole entry":  {func(e, other fields) { maps.Copy(e, other); e["url"] = "hyperty://example.com/bob" }, "not of this entry"},
		"another's key":          {swap("key"), "not the one that"},
		"another's signature":    {swap("signature"), "not of this entry"},
		"a short key":            {inProof("key", "AAAA"), "a key of 3 bytes"},
		"a short signature":      {inProof("signature", "AAAA"), "a signature of 3"},
		"issued":                 {inProof("issued", time.Now().Add(20*365*24*time.Hour).UnixMilli()), "is to hold"},
		"expires":                {inProof("expires", 946771200001), "not of this entry"},
		"a handler":              {handlers("handler", "hyperty-runtime://example.com/eve/p2phandler/alpha"), "not of this entry"},
		"a handler's name":       {handlers("name", "beta"), "not of this entry"},
		"a handler's requester":  {handlers("requester", "hyperty-catalogue://evil.example/x"), "not of this entry"},
		"handlers left out":      {func(e, _ fields) { delete(e, "p2pHandlers") }, "not of this entry"},
		"resources":              {alter("resources", []string{"admin"}), "not of this entry"},
		"dataSchemes":            {alter("dataSchemes", []string{"comm"}), "not of this entry"},
		"descriptor":             {alter("descriptor", "hyperty-catalogue://evil.example/x"), "not of this entry"},
		"user":                   {alter("user", "user://example.com/eve"), "not of this entry"},
		"name":                   {alter("name", "eve"), "not of this entry"},
		"reporter":               {alter("reporter", "hyperty://example.com/eve"), "not of this entry"},
		"a runtime without keys": {func(e, _ fields) { e["runtime"] = "hyperty-runtime://example.com/eve"; delete(e, "proof") }, "trust.without_sessions"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b, c := w.signed(1, nil), w.signed(2, nil), w.signed(3, nil)
				alice, _ := a.hyperty("alice")
				bob, atB := b.hyperty("bob")
				carol, atC := c.hyperty("carol")
				forged := w.entry(bob)
				x.cheat(forged, w.entry(carol))
				w.answer(bob, forged)
				for range 3 {
					_, err := a.resolve(bob)
					wantRefusal(t, "resolve", err, message.CodeNotFound, x.why)
					wantRefusal(t, "verify", a.reg.Verify(w.ctx, b.url, bob), message.CodeForbidden, x.why)
					settle(2 * time.Second)
				}
				if told := a.untrusted(bob); len(told) != 1 || !strings.Contains(told[0], "not signed") {
					t.Errorf("told %d times: %q", len(told), told)
				}
				a.say(alice, carol)
				w.honest()
				a.say(alice, bob)
				settle(time.Second)
				if atB.len() != 1 || atC.len() != 1 {
					t.Errorf("bob has %d messages, carol %d, want one each", atB.len(), atC.len())
				}
			})
		})
	}
}

// The status is the node's word: no message goes to an entry that it marks as disconnected, but only a signed entry is known.
func TestDisconnectedMustBeSignedToo(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.signed(1, nil), w.signed(2, nil)
		bob, _ := b.hyperty("bob")
		if err := b.reg.Unregister(w.ctx, bob); err != nil {
			t.Fatal(err)
		}
		settle(7 * 24 * time.Hour) // its proof has expired, but it is known
		_, err := a.resolve(bob)
		wantCode(t, err, message.CodeTimeout)
		settle(2 * time.Second)
		e := w.entry(bob)
		delete(e, "proof")
		w.change(func() { w.entries[bob] = message.Encode(e) })
		_, err = a.resolve(bob)
		wantRefusal(t, "without proof", err, message.CodeNotFound, "proof is missing")
	})
}

// An entry that was issued before one that has been believed is not believed any more, though its signature is right.
func TestOldEntriesAreNotBroughtBack(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.signed(1, unconnected), w.signed(2, nil), w.signed(3, nil)
		bob, _ := b.hyperty("bob")
		atFirst := w.entry(bob)
		settle(time.Minute)
		if err := b.reg.Unregister(w.ctx, bob); err != nil {
			t.Fatal(err)
		}
		b.hyperty("bob")
		later := w.entry(bob)
		if route, err := a.resolve(bob); err != nil || route.Remote != b.url {
			t.Fatalf("%+v, %v", route, err)
		}
		forget(a, bob)
		w.answer(bob, atFirst)
		_, err := a.resolve(bob)
		wantRefusal(t, "the first entry", err, message.CodeNotFound, "was later")
		if route, err := c.resolve(bob); err != nil || route.Remote != b.url {
			t.Errorf("who has never seen a later one: %+v, %v", route, err)
		}
		settle(2 * time.Second)
		w.answer(bob, later)
		if route, err := a.resolve(bob); err != nil || route.Remote != b.url {
			t.Errorf("the same entry as before: %+v, %v", route, err)
		}
		forget(a, bob)

		// The name is another runtime's now, which signed last. The first one's entry is not believed again.
		w.honest()
		w.change(func() { delete(w.names, bob) })
		c.hyperty("bob")
		if route, err := a.resolve(bob); err != nil || route.Remote != c.url {
			t.Errorf("after it has moved: %+v, %v", route, err)
		}
		forget(a, bob)
		w.answer(bob, later)
		_, err = a.resolve(bob)
		wantRefusal(t, "the entry before it moved", err, message.CodeNotFound, "was later")
		settle(2 * time.Second)
		later["runtime"] = "hyperty-runtime://example.com/eve"
		delete(later, "proof")
		_, err = a.resolve(bob)
		wantRefusal(t, "an unsigned entry", err, message.CodeNotFound, "trust.without_sessions")
	})
}

// unconnected makes a runtime that learns only from Domain Registries where addresses are.
func unconnected(o *Options) { o.Policy = Never }

// forget drops an address from the directory, as happens after some time.
func forget(s *side, url message.URL) {
	s.reg.ask(s.w.ctx, func() { s.reg.directory.Forget(url) })
}

func TestProofsExpireAndAreRenewed(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.signed(1, nil), w.signed(2, nil)
		bob, _ := b.hyperty("bob")
		atFirst := w.entry(bob)
		settle(10 * 24 * time.Hour)
		renewed, updates := 0, 0
		w.change(func() {
			for _, m := range w.asked {
				var body struct{ Value struct{ Proof any } }
				m.Decode(&body)
				if m.Type == message.Update && m.From == b.url.Join("registry") {
					updates++
					if body.Value.Proof != nil {
						renewed++
					}
				}
			}
		})
		if renewed < 18 || renewed > 20 || updates < 500 {
			t.Errorf("%d new signatures in %d keep-alives within ten days, want two a day", renewed, updates)
		}
		w.answer(bob, atFirst)
		_, err := a.resolve(bob)
		wantRefusal(t, "an entry of ten days ago", err, message.CodeNotFound, "has expired")
		settle(2 * time.Second)
		w.honest()
		if route, err := a.resolve(bob); err != nil || route.Remote != b.url {
			t.Errorf("%+v, %v", route, err)
		}
		// The clock is ahead by more than a day.
		e := w.entry(bob)
		signed, _, err := proof.ParseEntry(message.Encode(e))
		if err != nil {
			t.Fatal(err)
		}
		ahead := time.Now().Add(48 * time.Hour)
		e["proof"] = signed.Sign(b.key, ahead, ahead.Add(time.Hour))
		w.answer(bob, e)
		forget(a, bob)
		_, err = a.resolve(bob)
		wantRefusal(t, "an entry of the day after tomorrow", err, message.CodeNotFound, "clock")
	})
}

// Of several entries the bad ones are ignored, and of the good ones the one that was signed last counts; but a name that is
// pinned stays where it is pinned to.
func TestSeveralEntries(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		inWorld(t, func(w *world) {
			b, c := w.signed(2, nil), w.signed(3, nil)
			a := w.signed(1, func(o *Options) {
				unconnected(o)
				o.Trust.Owner = func(name, runtime message.URL, _ bool) error {
					if pinned && name == "hyperty://example.com/bob" && runtime != b.url {
						return errors.New("pinned")
					}
					return nil
				}
			})
			bob, _ := b.hyperty("bob")
			bobs := w.entry(bob)
			settle(time.Minute)
			w.change(func() { delete(w.names, bob) })
			c.hyperty("bob")
			carols := w.entry(bob)
			forged := w.entry(bob)
			forged["runtime"] = a.url
			bad := fields{"url": string(bob), "runtime": "hyperty-runtime://example.com/eve", "proof": "x"}
			w.answer(bob, []any{forged, 7, bad, bobs, carols, w.entry(bob)})
			want := c.url
			if pinned {
				want = b.url
			}
			if route, err := a.resolve(bob); err != nil || route.Remote != want {
				t.Errorf("pinned %v: %+v, %v, want %s", pinned, route, err, want)
			}
			forget(a, bob)
			settle(2 * time.Second)
			w.answer(bob, map[string]any{string(bob): carols, "hyperty://example.com/x": bobs})
			route, err := a.resolve(bob)
			if pinned {
				wantCode(t, err, message.CodeForbidden)
			} else if err != nil || route.Remote != c.url {
				t.Errorf("%+v, %v", route, err)
			}
		})
	}
}

// Unsigned entries are believed only where the operator allows it, and only of runtimes that cannot sign.
func TestUnsignedEntries(t *testing.T) {
	inWorld(t, func(w *world) {
		var asked []message.URL
		a := w.signed(1, func(o *Options) {
			unconnected(o)
			o.Trust.Unsigned = func(runtime message.URL) bool {
				asked = append(asked, runtime)
				return runtime != "hyperty-runtime://example.com/other"
			}
		})
		b, old, other := w.signed(2, nil), w.add("old", "example.com", nil), w.add("other", "example.com", nil)
		bob, _ := b.hyperty("bob")
		carol, _ := old.hyperty("carol")
		dave, _ := other.hyperty("dave")
		if route, err := a.resolve(carol); err != nil || route.Remote != old.url {
			t.Errorf("%+v, %v", route, err)
		}
		_, err := a.resolve(dave)
		wantRefusal(t, "one that is not allowed", err, message.CodeNotFound, "trust.without_sessions")
		e := w.entry(bob)
		delete(e, "proof")
		w.answer(bob, e)
		_, err = a.resolve(bob)
		wantRefusal(t, "one that signs", err, message.CodeNotFound, "proof is missing")
		if len(asked) != 2 {
			t.Errorf("asked about %v", asked)
		}
		settle(2 * time.Second)
		w.honest()
		if _, err := a.resolve(bob); err != nil {
			t.Error(err)
		}
		forget(a, bob)
		e["runtime"] = old.url
		w.answer(bob, e)
		_, err = a.resolve(bob)
		wantRefusal(t, "unsigned after signed", err, message.CodeNotFound, "was later")
	})
}
