package p2p

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

func TestCommandsAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		own := map[message.URL]message.URL{aliceRequester: alice, bobHandler: bob}
		for _, c := range []struct {
			stub message.URL
			typ  message.Type
			body string
			want int
		}{
			{aliceRequester, message.Execute, `{}`, 400},
			{aliceRequester, message.Execute, `{"method":7}`, 400},
			{aliceRequester, message.Execute, `{"method":"explode","params":["` + string(bob) + `"]}`, 400},
			{aliceRequester, message.Execute, `{"method":"connect","params":[]}`, 400},
			{aliceRequester, message.Execute, `{"method":"connect","params":["not an address"]}`, 400},
			{aliceRequester, message.Execute, execute("connect", "hyperty-runtime://example.org/carol/p2phandler/mem"), 400},
			{aliceRequester, message.Execute, execute("disconnect", "hyperty-runtime://example.org/carol"), 400},
			{aliceRequester, message.Subscribe, `{"subscribe":["` + string(aliceRequester) + `/1"],"peer":"` + string(bob) + `"}`, 400},
			{bobHandler, message.Execute, execute("connect", aliceRequester), 400},
			{bobHandler, message.Execute, execute("disconnect", "hyperty-runtime://example.org/carol"), 200},
			{bobHandler, message.Subscribe, `{}`, 400},
			{bobHandler, message.Subscribe, `{"subscribe":[],"peer":"` + string(alice) + `"}`, 400},
			{bobHandler, message.Subscribe, `{"subscribe":["a://b","a://b"],"peer":"` + string(alice) + `"}`, 400},
			{bobHandler, message.Subscribe, `{"subscribe":["` + string(bobDoor) + `"]}`, 400},
			{bobHandler, message.Subscribe, `{"subscribe":["hyperty://example.com/x"],"peer":"` + string(alice) + `"}`, 400},
			{bobHandler, message.Subscribe, `{"subscribe":["` + string(bobHandler) + `"],"peer":"` + string(alice) + `"}`, 400},
			{bobHandler, message.Subscribe, `{"subscribe":["` + string(bobDoor) + `"],"peer":"hyperty-runtime://example.org/carol"}`, 404},
		} {
			if got := b.command(c.stub, c.typ, c.body); got != c.want {
				t.Errorf("%s %s to %s: %d, want %d", c.typ, c.body, c.stub, got, c.want)
			}
			for _, stranger := range []message.URL{"hyperty://example.com/mallory", alice + "/identity", "hyperty-runtime://example.org/carol/registry"} {
				if stranger.Runtime() == own[c.stub] && strings.HasSuffix(string(stranger), "/registry") {
					continue
				}
				if got := b.commandFrom(stranger, c.stub, c.typ, c.body); got != 403 {
					t.Errorf("%s from %s: %d, want 403", c.typ, stranger, got)
				}
			}
		}
		b.carries("still")
		b.stopAll()
	})
}

// TestInvitationsAreChecked: what a Handler refuses before anything is done.
func TestInvitationsAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		const schema = "hyperty-catalogue://catalogue.example.com/.well-known/dataschema/Connection"
		for _, c := range []struct {
			object, reporter, runtime, schema string
			want                              int
		}{
			{"connection://example.com/x", string(aliceRequester), string(alice), "hyperty-catalogue://catalogue.example.com/.well-known/dataschema/Chat", 400},
			{"comm://example.com/x", string(aliceRequester), string(alice), schema, 400},
			{"connection://example.com/x", string(aliceRequester), "", schema, 400},
			{"connection://example.com/x", string(aliceRequester), "hyperty://example.com/alice", schema, 400},
			{"connection://example.com/x", string(aliceRequester), string(alice) + "/registry", schema, 400},
			{"connection://example.com/x", string(aliceRequester), "hyperty-runtime://example.com/carol", schema, 403},
			{"connection://example.com/x", "hyperty://example.com/mallory", string(alice), schema, 403},
			{"connection://example.com/x", string(bob) + "/p2prequester/q", string(bob), schema, 400},
		} {
			value := fmt.Sprintf(`{"url":%q,"reporter":%q,"runtime":%q,"schema":%q,"childrens":[]}`, c.object, c.reporter, c.runtime, c.schema)
			got := b.commandFrom(message.URL(c.object).Join("subscription"), bobHandler, message.Create, `{"value":`+value+`}`)
			if got != c.want {
				t.Errorf("invitation %s: %d, want %d", value, got, c.want)
			}
		}
		b.wantStatuses(bobHandler, "")
		// An object that does not exist: the set-up fails.
		value := fmt.Sprintf(`{"url":"connection://example.com/x","reporter":%q,"runtime":%q,"schema":%q}`, aliceRequester, alice, schema)
		if got := b.commandFrom("connection://example.com/x/subscription", bobHandler, message.Create, `{"value":`+value+`}`); got != 200 {
			t.Errorf("invitation to a missing object: %d", got)
		}
		synctest.Wait()
		if got := b.statusesOf(bobHandler); !strings.HasPrefix(got, "created, failed: ") || !strings.Contains(got, "404") {
			t.Errorf("handler: %s", got)
		}
		b.b.stop()
	})
}

// TestRequesterTakesOneAnswer: a Requester takes an answer from no other stub than the Handler that it asked.
func TestRequesterTakesOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) {
			b.hold = func(m message.Message) bool { return m.To == bobHandler && m.Type == message.Create }
		})
		b.request() // bob never gets the invitation
		const schema = "hyperty-catalogue://catalogue.example.org/.well-known/dataschema/Connection"
		invite := func(reporter, runtime message.URL) int {
			value := fmt.Sprintf(`{"url":"connection://example.org/x","reporter":%q,"runtime":%q,"schema":%q}`, reporter, runtime, schema)
			return b.commandFrom("connection://example.org/x/subscription", aliceRequester, message.Create, `{"value":`+value+`}`)
		}
		if got := invite("hyperty-runtime://example.org/carol/p2phandler/mem", "hyperty-runtime://example.org/carol"); got != 403 {
			t.Errorf("an answer of another runtime: %d", got)
		}
		if got := invite(bob+"/p2phandler/other", bob); got != 403 {
			t.Errorf("an answer of another Handler: %d", got)
		}
		time.Sleep(setupTime + time.Second)
		if got := invite(bobHandler, bob); got != 404 {
			t.Errorf("an answer after the set-up: %d", got)
		}
		b.stopAll()
	})
}

// TestAnswerToAnotherOffer: the answer to an earlier set-up comes late; the one to this set-up is taken after it.
func TestAnswerToAnotherOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []message.Message
		holding := true
		b := newBed(t, func(b *bed) {
			b.hold = func(m message.Message) bool {
				if holding && m.To == bobHandler && m.Type == message.Create {
					held = append(held, m)
					return true
				}
				return false
			}
		})
		b.request() // bob does not get the invitation yet
		const stale message.URL = "connection://example.org/stale"
		const schema = "hyperty-catalogue://catalogue.example.org/.well-known/dataschema/Connection"
		doc, err := object.Parse([]byte(`{"offer":"connection://example.com/c0","connectionDescription":{"name":"wrong"}}`))
		if err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		b.objects[stale] = &fakeObject{meta: object.Metadata{URL: stale, Reporter: bobHandler, Runtime: bob, Schema: schema}, doc: doc, reporter: bobHandler,
			invited: map[message.URL]bool{aliceRequester: true}, observers: map[message.URL]message.URL{}}
		b.mu.Unlock()
		value := fmt.Sprintf(`{"url":%q,"reporter":%q,"runtime":%q,"schema":%q}`, stale, bobHandler, bob, schema)
		if got := b.commandFrom(stale+"/subscription", aliceRequester, message.Create, `{"value":`+value+`}`); got != 200 {
			t.Errorf("the stale invitation: %d", got)
		}
		synctest.Wait()
		holding = false
		for _, m := range held {
			_ = b.route(t.Context(), m)
		}
		synctest.Wait()
		b.wantStatuses(aliceRequester, "created, in-progress, live")
		for _, s := range b.ta.got {
			if strings.Contains(string(s.Value), "wrong") {
				t.Error("the transport was given the description of another set-up")
			}
		}
		b.mu.Lock()
		if n := len(b.objects[stale].observers); n != 0 {
			t.Errorf("%d observers of the stale object are left", n)
		}
		delete(b.objects, stale)
		b.mu.Unlock()
		b.stopAll()
	})
}

func TestParseConnection(t *testing.T) {
	many, _ := json.Marshal(make([]int, 100))
	for _, c := range []struct {
		text        string
		description bool
		candidates  int
		fails       bool
	}{
		{`{}`, false, 0, false},
		{`{"connectionDescription":{}}`, false, 0, false},
		{`{"connectionDescription":null}`, false, 0, false},
		{`{"connectionDescription":"x"}`, false, 0, false},
		{`{"connectionDescription":{"sdp":"v=0"}}`, false, 0, false},
		{`{"connectionDescription":{"type":"offer"}}`, false, 0, false},
		{`{"connectionDescription":{"type":"offer","sdp":"v=0"},"iceCandidates":[{},{}]}`, true, 2, false},
		{`{"connectionDescription":{"certificate":"00"},"iceCandidates":{"status":"x"}}`, true, 0, false},
		{`{"connectionDescription":{"certificate":"00"},"iceCandidates":` + string(many) + `}`, true, 100, false},
		{`{"runtimeURL":"runtime` + string(alice[len("hyperty-runtime"):]) + `/"}`, false, 0, false},
		{`{"runtimeURL":"hyperty-runtime://example.com/carol"}`, false, 0, true},
		{`{"connectionDescription":{"x":"` + strings.Repeat("x", MaxDescription) + `"}}`, false, 0, true},
		{`[]`, false, 0, true},
	} {
		got, err := parseConnection(json.RawMessage(c.text), alice)
		if (err != nil) != c.fails || (got.Description != nil) != c.description || len(got.Candidates) != c.candidates {
			t.Errorf("%.80s: %s, %d candidates, error %v", c.text, got.Description, len(got.Candidates), err)
		}
	}
}

func FuzzParseConnection(f *testing.F) {
	f.Add([]byte(`{"name":"P2PConnection","status":"","owner":"a://b","runtimeURL":"` + string(alice) + `","connectionDescription":{"sdp":"v=0","type":"offer"},"iceCandidates":[{"candidate":"x"}]}`))
	f.Add([]byte(`{"offer":"connection://example.com/x","iceCandidates":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseConnection(text, alice)
		if err == nil && got.Description != nil && (len(got.Description) > MaxDescription || !json.Valid(got.Description)) {
			t.Errorf("%q: description %q", text, got.Description)
		}
	})
}

func FuzzParseCommand(f *testing.F) {
	f.Add(uint8(message.Execute), []byte(execute("connect", bobHandler)))
	f.Add(uint8(message.Execute), []byte(execute("disconnect", bob)))
	f.Add(uint8(message.Subscribe), []byte(`{"subscribe":["`+string(bobDoor)+`"],"peer":"`+string(alice)+`"}`))
	f.Fuzz(func(t *testing.T, typ uint8, body []byte) {
		m := message.Message{Type: message.Type(typ), From: bob, To: bobHandler, Body: body}
		c, err := parseCommand(&m)
		if err != nil {
			return
		}
		for _, u := range []message.URL{c.Target, c.Door} {
			if _, err := message.ParseURL(string(u)); u != "" && err != nil {
				t.Errorf("%q is taken as %+v", body, c)
			}
		}
	})
}
