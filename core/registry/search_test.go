package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// found1 are the names of what was found.
func found1(f hyperty.Findings) string {
	var names []string
	for _, one := range f.Found {
		names = append(names, strings.TrimPrefix(one.URL.Path(), "/"))
	}
	return strings.Join(names, " ")
}

// A node may answer a search as it likes. What is found is what its runtime has signed, is what was asked for, and is somebody with whom
// this runtime may speak.
func TestSearchBelievesNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.signed(1, func(o *Options) {
			o.Trust.MayFind = func(name, _ message.URL) bool { return !strings.HasSuffix(string(name), "/forbidden") }
		})
		b := w.signed(2, nil)
		entries := map[message.URL]any{}
		for _, name := range []string{"bob", "away", "changed", "unsigned", "moved", "forbidden", "video"} {
			resource := "chat"
			if name == "video" {
				resource = "video"
			}
			url, err := b.reg.RegisterHyperty(w.ctx, Hyperty{Name: name, Resources: []string{resource}, User: "user://example.com/bob"})
			if err != nil {
				t.Fatal(err)
			}
			e := w.entry(url)
			e["hypertyID"], e["startingTime"], e["lastModified"] = url, "2000-01-02T03:04:05.678Z", "2000-01-03T00:00:00.000Z"
			entries[url] = e
		}
		entry := func(name string) fields { return entries[message.URL("hyperty://example.com/"+name)].(fields) }
		entry("away")["status"] = "disconnected"
		entry("changed")["user"] = "user://example.com/eve"
		delete(entry("unsigned"), "proof")
		entries["hyperty://example.com/other"] = entry("moved") // under another address
		delete(entries, "hyperty://example.com/moved")
		entries["nonsense"], entries["hyperty://example.com/empty"] = 1, map[string]any{}
		w.change(func() {
			w.found = func(m message.Message) message.Message {
				return m.RespondBody(message.Encode(map[string]any{"code": 200, "value": entries, "page": 1, "more": true}))
			}
		})
		f, err := a.reg.Search(w.ctx, hyperty.Query{Resource: "chat"})
		if err != nil || found1(f) != "away bob" || !f.More {
			t.Fatalf("%s, more: %v, %v", found1(f), f.More, err)
		}
		if away, bob := f.Found[0], f.Found[1]; away.State != hyperty.Away || away.Since.Format(time.DateOnly) != "2000-01-03" ||
			bob.State != hyperty.Registered || bob.Since.Format(time.DateOnly) != "2000-01-02" || bob.Runtime != b.url || bob.User != "user://example.com/bob" {
			t.Errorf("%+v", f.Found)
		}
		if f, err := a.reg.Search(w.ctx, hyperty.Query{User: "user://example.com/eve"}); err != nil || len(f.Found) != 0 {
			t.Errorf("for eve: %+v %v", f, err)
		}
		for answer, code := range map[string]int{`{"code":200,"value":[1]}`: 504, `{"code":200,"value":7}`: 504, `{"code":200,"more":"x"}`: 504, `{"code":200}`: 0,
			`{"code":404}`: 0, `{"code":413}`: 413, `{"code":429}`: 429, `{"code":403}`: 504, `{"code":500}`: 504} {
			w.change(func() {
				w.found = func(m message.Message) message.Message { return m.RespondBody(json.RawMessage(answer)) }
			})
			if f, err := a.reg.Search(w.ctx, hyperty.Query{}); (err != nil) != (code > 0) || code > 0 && !isCode(err, code) || len(f.Found) > 0 {
				t.Errorf("%s: %+v %v", answer, f, err)
			}
		}
	})
}

// A node of an earlier version knows no pages.
func TestSearchAtANodeWithoutPages(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.signed(1, nil), w.signed(2, nil)
		entries := map[message.URL]any{}
		for i := range 5 {
			url, _ := b.hyperty(fmt.Sprint("h", i))
			entries[url] = w.entry(url)
		}
		w.change(func() {
			w.found = func(m message.Message) message.Message { return m.Respond(message.CodeOK, maps.Clone(entries)) }
		})
		for page, want := range map[int]string{0: "h0 h1 true", 1: "h0 h1 true", 2: "h2 h3 true", 3: "h4 false", 4: " false", 1 << 40: " false"} {
			f, err := a.reg.Search(w.ctx, hyperty.Query{Page: page, Size: 2})
			if got := fmt.Sprint(found1(f), " ", f.More); err != nil || got != want {
				t.Errorf("page %d: %s %v", page, got, err)
			}
		}
	})
}

func TestPresenceIsWhatIsBelieved(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.signed(1, nil), w.signed(2, nil)
		bob, _ := b.hyperty("bob")
		alice, _ := a.hyperty("alice")
		is := func(u message.URL, state hyperty.PresenceState, at message.URL) hyperty.Presence {
			t.Helper()
			p := a.reg.Presence(w.ctx, u)
			if p.State != state || p.Runtime != at {
				t.Errorf("%s: %+v, want %s at %q", u, p, state, at)
			}
			return p
		}
		is(alice, hyperty.Registered, a.url)
		is(bob.Join("child"), hyperty.Registered, b.url)
		is("hyperty://example.com/nobody", hyperty.Gone, "")
		is(a.url.Join("hyperty", "x"), hyperty.Gone, "")
		e := w.entry(bob)
		e["runtime"] = w.add("mallory", "example.com", nil).url
		w.answer(bob, e)
		if p := is(bob, hyperty.Gone, ""); p.Why == "" {
			t.Error("it is not said that an entry is not believed")
		}
		w.honest()
		w.change(func() { w.down = true })
		if p := is(bob, hyperty.Unknown, ""); p.Why == "" {
			t.Error("it is not said why nobody knows")
		}
		w.change(func() { w.down = false })
		if err := b.reg.Unregister(w.ctx, bob); err != nil {
			t.Fatal(err)
		}
		is(bob, hyperty.Away, "")
	})
}
