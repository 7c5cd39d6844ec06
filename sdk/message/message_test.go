package message_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseURL(t *testing.T) {
	for _, s := range []string{
		"hyperty://example.com/bob", "hyperty-runtime://example.com/r-1/p2phandler/h1", "runtime://example.com/r",
		"domain://registry.example.com", "global://registry/", "user-guid://abc", "connection://127.0.0.1:80/c1/changes",
		"mn:/session", "acct://example.com/user%3A%2F%2Fx", "comm://[::1]:9000/room",
	} {
		if u, err := message.ParseURL(s); err != nil || string(u) != s {
			t.Errorf("%s: %q, %v", s, u, err)
		}
	}
	for _, s := range []string{
		"", "bob", "://x/y", "hyperty:", "hyperty://", "hyperty:///bob", "hyperty://example.com", "hyperty://example.com/", "hyperty://exa mple.com/bob",
		"hyperty2://example.com/bob", "hyperty://example.com/b\nob", "hyperty://example.com/<b>", "hyperty://exämple.com/b", "http2://x/y",
		"hyperty://" + strings.Repeat("a", 256) + "/b", "hyperty://example.com/" + strings.Repeat("a", message.MaxURL),
	} {
		u, err := message.ParseURL(s)
		var bad *message.URLError
		if !errors.As(err, &bad) || u != "" {
			t.Errorf("%.60q was taken as %q: %v", s, u, err)
		}
	}
}

func TestURLParts(t *testing.T) {
	const handler message.URL = "runtime://example.com/r-bob/p2phandler/h1"
	if handler.Runtime() != "hyperty-runtime://example.com/r-bob" || handler.Base() != "runtime://example.com/r-bob" ||
		handler.Domain() != "example.com" || handler.Path() != "/r-bob/p2phandler/h1" || handler.Scheme() != "runtime" {
		t.Errorf("parts of %s: %s %s %s %s", handler, handler.Runtime(), handler.Base(), handler.Domain(), handler.Path())
	}
	if !handler.Within("hyperty-runtime://example.com/r-bob/") || handler.Within("runtime://example.com/r-bo") || handler.Within("") {
		t.Error("Within compares texts, not segments")
	}
	if u := message.URL("hyperty://example.com/bob"); u.Runtime() != "" || u.Base() != u || u.Join("changes") != u+"/changes" {
		t.Error("parts of a hyperty's URL")
	}
	for u, want := range map[message.URL]string{
		"domain://msg-node.example.com/sm": "example.com", "domain://registry.example.com": "example.com",
		"global://registry/": "", "hyperty://example.com/bob": "example.com",
	} {
		if got := u.NodeDomain(); got != want {
			t.Errorf("the node of %s is %q, want %q", u, got, want)
		}
	}
}

// The specification's examples, read and written again.
func TestJSONForm(t *testing.T) {
	for _, text := range []string{
		`{"id":3,"type":"update","from":"runtime://example.com/protostub/p1","to":"runtime://example.com/protostub/p1/status","body":{"value":"live"}}`,
		`{"id":9,"type":"create","from":"connection://example.com/c1/subscription","to":"runtime://example.com/r-bob/p2phandler/h1","body":{"p2p":false,"schema":"s","source":"runtime://example.com/p2prequester/q1","value":{"url":"connection://example.com/c1"}}}`,
		`{"id":"a-7","type":"response","from":"hyperty://example.com/a","to":"hyperty://example.com/b","body":{"code":"200"}}`,
		`{"id":1,"type":"create","from":"hyperty://example.com/a","to":"hyperty://example.com/b","body":{"via":["runtime://example.com/protostub/p1","runtime://example.com/protostub/p2"]}}`,
		`{"id":1,"type":"create","from":"hyperty://example.com/a","to":"hyperty://example.com/b","body":{"source":7,"via":{}}}`,
	} {
		var m message.Message
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var want, got any
		_ = json.Unmarshal([]byte(text), &want)
		if err := json.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("\nread    %s\nwritten %s (%v)", text, out, err)
		}
	}
	var m message.Message
	if err := json.Unmarshal([]byte(`{"id":1,"type":"CREATE","from":"hyperty://example.com/a","to":"hyperty://example.com/b","body":{"via":"runtime://example.com/protostub/p1","p2p":true}}`), &m); err != nil {
		t.Fatal(err)
	}
	if m.Type != message.Create || len(m.Via) != 1 || m.P2P != message.Yes || !m.Crossed("hyperty-runtime://example.com/protostub/p1") {
		t.Errorf("routing fields: %+v", m)
	}
}

func TestJSONFormRefuses(t *testing.T) {
	const head = `{"id":1,"type":"create","from":"hyperty://example.com/a","to":"hyperty://example.com/b"`
	for name, text := range map[string]string{
		"not JSON":        `{"id":`,
		"a list":          `[]`,
		"no type":         `{"id":1,"from":"hyperty://example.com/a","to":"hyperty://example.com/b"}`,
		"an unknown type": `{"id":1,"type":"explode","from":"hyperty://example.com/a","to":"hyperty://example.com/b"}`,
		"no from":         `{"id":1,"type":"create","to":"hyperty://example.com/b"}`,
		"a bad to":        `{"id":1,"type":"create","from":"hyperty://example.com/a","to":"bob"}`,
		"a list as body":  head + `,"body":[1]}`,
		"a body too big":  head + `,"body":{"x":"` + strings.Repeat("x", 2<<20) + `"}}`,
		"a loop":          head + `,"body":{"via":["` + strings.Repeat(`hyperty-runtime://e/r","`, message.MaxVia) + `hyperty-runtime://e/r"]}}`,
		"an object as id": `{"id":{},"type":"create","from":"hyperty://example.com/a","to":"hyperty://example.com/b"}`,
	} {
		var m message.Message
		if err := json.Unmarshal([]byte(text), &m); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]int{
		`"hyperty://e/a"`: 1, `["hyperty://e/a","hyperty://e/b"]`: 2, `[["hyperty://e/a"],["hyperty://e/b"]]`: 2, `[]`: 0,
		`7`: -1, `["bob"]`: -1, `[7]`: -1, strings.Repeat("[", 6) + `"hyperty://e/a"` + strings.Repeat("]", 6): -1,
	} {
		var l message.URLs
		if err := json.Unmarshal([]byte(text), &l); (err == nil) != (want >= 0) || err == nil && len(l) != want {
			t.Errorf("%s: %v, %v", text, l, err)
		}
	}
}

func TestResponses(t *testing.T) {
	ask := message.Message{ID: message.NumberID(4), Type: message.Read, From: "hyperty://example.com/a", To: "hyperty://example.com/b"}
	yes := ask.Respond(message.CodeOK, []int{1})
	if v, err := yes.OK(); err != nil || string(v) != "[1]" || yes.From != ask.To || yes.To != ask.From || yes.ID != ask.ID {
		t.Errorf("%+v: %s %v", yes, v, err)
	}
	no := ask.Refuse(message.CodeNotFound, "no %s", "bob")
	var refused *message.ResponseError
	if _, err := no.OK(); !errors.As(err, &refused) || refused.Code != 404 || refused.Description != "no bob" {
		t.Errorf("refusal: %v", err)
	}
	for _, body := range []string{``, `{}`, `{"code":"x"}`, `{"code":7}`, `{"code":null}`} {
		m := ask.RespondBody([]byte(body))
		if _, err := m.OK(); err == nil {
			t.Errorf("body %q is a success", body)
		}
	}
	text := ask.RespondBody([]byte(`{"code":"200","value":1}`))
	if v, err := text.OK(); err != nil || string(v) != "1" {
		t.Errorf("a code as text: %s %v", v, err)
	}
	if m := ask.Respond(message.CodeAccepted, nil); !m.Provisional() {
		t.Error("100 is provisional")
	}
}

func sample() message.Message {
	return message.Message{
		ID: message.NumberID(77), Type: message.Create, From: "hyperty://example.com/alice", To: "hyperty://example.com/bob",
		Body: []byte(`{"value":"` + strings.Repeat("x", 85) + `"}`), Via: []message.URL{"hyperty-runtime://example.com/r/protostub/1"},
		Source: "hyperty://example.com/alice", P2P: message.No,
	}
}

func TestBinaryForm(t *testing.T) {
	want := sample()
	got, err := message.ParseBinary(want.AppendBinary(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("\nwrote %+v\nread  %+v, %v", want, got, err)
	}
	b := want.AppendBinary(nil)
	for n := 1; n < len(b); n++ { // cut anywhere: never a message with other contents
		if m, err := message.ParseBinary(b[:n]); err == nil && (m.From != want.From || m.To != want.To) {
			t.Errorf("cut at %d: %+v", n, m)
		}
	}
}

// A parser that has read one message reads others as a new parser does, and similar ones without allocating.
func TestParser(t *testing.T) {
	var p message.Parser
	other := sample()
	other.From, other.To, other.Source = other.To, other.From, ""
	for _, want := range []message.Message{sample(), other, sample(), sample()} {
		if got, err := p.Parse(want.AppendBinary(nil)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("wrote %+v, read %+v, %v", want, got, err)
		}
	}
	if m, err := p.Parse([]byte{3 << 3, 1, 4<<3 | 2, 0}); err == nil {
		t.Errorf("an empty address was taken for the one before: %+v", m)
	}
	plain := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://a.example/x", To: "hyperty://b.example/y"}
	wire := plain.AppendBinary(nil)
	if n := testing.AllocsPerRun(100, func() { _, _ = p.Parse(wire) }); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func FuzzParseBinary(f *testing.F) {
	m := sample()
	f.Add(m.AppendBinary(nil))
	f.Add([]byte{0x08, 0x01})
	bare := message.Message{Type: message.Create, From: "hyperty://example.com/a", To: "hyperty://example.com/b"}
	f.Add(append(bare.AppendBinary(nil), 6<<3|2, 0)) // an empty body
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.ParseBinary(b)
		if err != nil {
			return
		}
		if got := len(m.AppendBinary(nil)); got != m.RoutingSize()+m.OwnSize() {
			t.Fatalf("%d bytes, %d and %d were foretold", got, m.RoutingSize(), m.OwnSize())
		}
		p := message.Parser{}
		for range 2 { // the second time from what it remembers
			if other, err := p.Parse(b); err != nil || !reflect.DeepEqual(other, m) {
				t.Fatalf("%+v, with a parser %+v, %v", m, other, err)
			}
		}
		again, err := message.ParseBinary(m.AppendBinary(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v, again %+v, %v", m, again, err)
		}
	})
}

// FuzzParts reads a routing, and messages with it, in two parts and in one: that is the same, whatever was read before.
func FuzzParts(f *testing.F) {
	m := sample()
	f.Add(m.AppendRouting(nil), append(m.AppendOwnHead(nil), m.Body...), []byte(nil))
	f.Add(m.AppendRouting(nil), []byte(nil), m.AppendRouting(nil)[:20])
	f.Fuzz(func(t *testing.T, routing, own, other []byte) {
		var apart, whole message.Parser
		apart.Routing(other)
		_, _ = whole.Parse(other)
		for range 2 {
			apart.Routing(routing)
			got, err := apart.Own(own)
			if err != nil {
				return
			}
			want, err := whole.Parse(append(append([]byte(nil), routing...), own...))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("in parts %+v, in one %+v, %v", got, want, err)
			}
			if next, err := whole.Parse(append(want.AppendBinary(nil), other...)); err == nil {
				fresh, err := message.ParseBinary(append(want.AppendBinary(nil), other...))
				if err != nil || !reflect.DeepEqual(next, fresh) {
					t.Fatalf("%+v, by a fresh parser %+v, %v", next, fresh, err)
				}
			}
		}
	})
}

// TestParserRouting: a parser takes the routing of the message before only where it is the same.
func TestParserRouting(t *testing.T) {
	var p message.Parser
	base := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://a.example/x", To: "hyperty://b.example/y", Body: []byte(`{"a":1}`)}
	list := []message.Message{base}
	for _, change := range []func(*message.Message){
		func(m *message.Message) { m.To += "z" },
		func(m *message.Message) { m.Via = []message.URL{"hyperty://v.example/1"} },
		func(m *message.Message) { m.Via = []message.URL{"hyperty://v.example/1", "hyperty://v.example/2"} },
		func(m *message.Message) { m.Source = m.From },
		func(m *message.Message) { m.P2P = message.No },
		func(m *message.Message) { m.Type = message.Response },
		func(m *message.Message) { m.Body = nil },
		func(m *message.Message) { m.ID = message.ID{} },
	} {
		m := base
		change(&m)
		list = append(list, m)
	}
	for i := range list {
		for j := range list {
			if same := i == j || i == 0 && j > 6 || j == 0 && i > 6 || i > 6 && j > 6; list[i].SameRouting(&list[j]) != same {
				t.Errorf("the routing of %+v and %+v: want %v", list[i], list[j], same)
			}
			for _, want := range []message.Message{list[i], list[j]} {
				if got, err := p.Parse(want.AppendBinary(nil)); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%+v, want %+v, %v", got, want, err)
				}
			}
		}
	}
	for _, bad := range [][]byte{nil, base.AppendOwnHead(nil), base.AppendRouting(nil)[:5], {3 << 3, 99}} {
		p.Routing(bad)
		if m, err := p.Own(nil); !errors.Is(err, message.ErrMalformed) {
			t.Errorf("the routing %x gave %+v, %v", bad, m, err)
		}
		if _, err := p.Parse(base.AppendBinary(nil)); err != nil {
			t.Errorf("after the routing %x: %v", bad, err)
		}
	}
	p.Routing(base.AppendRouting(nil))
	if m, err := p.Own(base.AppendRouting(nil)); !errors.Is(err, message.ErrMalformed) {
		t.Errorf("routing among the own fields gave %+v, %v", m, err)
	}
}

// A fault that was found in one routing is not reported for another one, whichever way that was read.
func TestParserChecksEachRouting(t *testing.T) {
	var p message.Parser
	good := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://a.example/x", To: "hyperty://b.example/y", Body: []byte(`{"a":1}`)}
	own, bad := good.AppendOwnHead(nil), good
	own = append(own, good.Body...)
	bad.From = ""
	short := bad.AppendRouting(nil)
	short = append(short[:2:2], short[4:]...) // without the empty field
	for range 2 {
		for _, text := range [][]byte{good.AppendRouting(nil), short, short, good.AppendRouting(nil)} {
			p.Routing(text)
			for range 2 {
				got := message.Message{From: "hyperty://a.example/before"}
				err := p.OwnTo(&got, own)
				if &text[0] == &short[0] && (!errors.Is(err, message.ErrMalformed) || !reflect.DeepEqual(got, message.Message{})) {
					t.Errorf("without from: %+v, %v", got, err)
				}
				if &text[0] != &short[0] && (err != nil || !reflect.DeepEqual(got, good)) {
					t.Errorf("%+v, %v", got, err)
				}
			}
			_, err := p.Parse(append(append([]byte(nil), text...), own...))
			if (err == nil) != (&text[0] != &short[0]) {
				t.Errorf("parsed as a whole: %v", err)
			}
		}
	}
	// One by one, whatever stands before or behind the number and the body.
	p.Routing(good.AppendRouting(nil))
	for _, text := range []string{"\x08\x01\x32\x02[]", "\x08\x01\x32\x02{", "\x08\x01\x32\x03{}", "\x08\x01\x32", "\x08", "\x08\x80", "\x08\x01\x32\x04{\"a}", "\x08\x01\x18\x01"} {
		if m, err := p.Own([]byte(text)); !errors.Is(err, message.ErrMalformed) {
			t.Errorf("%q gave %+v, %v", text, m, err)
		}
	}
	for text, want := range map[string]string{"\x08\x01\x32\x02{}": "{}", "\x08\x01\x32\x04 {}\n": " {}\n", "\x32\x02{}\x08\x01": "{}", "\x08\x01\x32\x02{}\x78\x01": "{}", "\x08\x01\x32\x00": "", "\x08\x01": ""} {
		if m, err := p.Own([]byte(text)); err != nil || string(m.Body) != want || m.ID != message.NumberID(1) {
			t.Errorf("%q gave %+v, %v", text, m, err)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"id":"1","type":"create","from":"hyperty://example.com/a","to":"hyperty://example.com/b","body":{"via":"hyperty://e/x","p2p":true,"source":"user://x/y"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var m message.Message
		if json.Unmarshal(text, &m) != nil {
			return
		}
		out, err := m.AppendJSON(nil)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		var again message.Message
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if again.From != m.From || again.To != m.To || again.ID != m.ID || again.P2P != m.P2P || len(again.Via) != len(m.Via) {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}

func TestPublication(t *testing.T) {
	for _, c := range []struct {
		kind message.Type
		to   message.URL
		want bool
	}{
		{message.Update, "hyperty-runtime://a.example/r/registry/changes", true},
		{message.Delete, "comm://a.example/o/changes", true},
		{message.Update, "hyperty-runtime://a.example/r/status", true},
		{message.Update, "hyperty://a.example/h/registration", true},
		{message.Create, "comm://a.example/o/changes", false}, // a request
		{message.Update, "hyperty://a.example/changes", true},
		{message.Update, "hyperty://changes", false}, // a domain
		{message.Update, "hyperty://a.example/exchanges", false},
		{message.Update, "hyperty://a.example/h/changes/x", false},
		{message.Update, "", false},
	} {
		if m := (message.Message{Type: c.kind, To: c.to}); m.Publication() != c.want {
			t.Errorf("%s to %s: %v", c.kind, c.to, !c.want)
		}
	}
}
