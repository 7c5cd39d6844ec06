package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/sdk/message"
)

const (
	rAlice = "runtime://example.com/r-alice"
	rBob   = "runtime://example.com/r-bob"
)

// setUp is the part of a P2P set-up that crosses the node (specification, "Order on the wire"), between two reference
// stubs of any dialect.
func setUp(t *testing.T, alice, bob *js) {
	t.Helper()
	bob.ask(200, `{"id":6,"type":"subscribe","from":"runtime://example.com/r-bob/ua","to":"domain://msg-node.example.com/sm","body":{"subscribe":["runtime://example.com/r-bob/p2phandler/h1"],"source":"runtime://example.com/r-bob"}}`)
	alice.ask(200, `{"id":7,"type":"subscribe","from":"runtime://example.com/r-alice/registry","to":"domain://msg-node.example.com/sm","body":{"subscribe":["runtime://example.com/p2prequester/q1"]}}`)
	alice.ask(200, `{"id":8,"type":"subscribe","from":"runtime://example.com/r-alice/sm","to":"domain://msg-node.example.com/sm","body":{"resources":["connection://example.com/c1","connection://example.com/c1/subscription"],"source":"runtime://example.com/p2prequester/q1"}}`)
	alice.send(`{"id":9,"type":"create","from":"connection://example.com/c1/subscription","to":"runtime://example.com/r-bob/p2phandler/h1","body":{"source":"runtime://example.com/p2prequester/q1","via":"runtime://example.com/protostub/p1","p2p":false,"value":{"url":"connection://example.com/c1"}}}`)
	invitation := bob.message()
	if invitation.Type != "create" || string(invitation.ID) != "9" || invitation.Body.Source != "runtime://example.com/p2prequester/q1" ||
		string(invitation.Body.Via) != `"runtime://example.com/protostub/p1"` {
		t.Fatalf("invitation %+v", invitation)
	}
	bob.send(`{"id":9,"type":"response","from":"runtime://example.com/r-bob/p2phandler/h1","to":"connection://example.com/c1/subscription","body":{"code":200}}`)
	if m := alice.message(); m.Type != "response" || m.Body.Code != 200 || m.To != "connection://example.com/c1/subscription" {
		t.Fatalf("response %+v", m)
	}
	bob.ask(200, `{"id":10,"type":"subscribe","from":"runtime://example.com/r-bob/sm","to":"domain://msg-node.example.com/sm","body":{"resources":["connection://example.com/c1/changes","connection://example.com/c1/children/"],"source":"runtime://example.com/r-bob/p2phandler/h1"}}`)
	bob.send(`{"id":3,"type":"subscribe","from":"runtime://example.com/r-bob/sm","to":"connection://example.com/c1/subscription","body":{"subscriber":"runtime://example.com/r-bob/p2phandler/h1","source":"runtime://example.com/r-bob/p2phandler/h1"}}`)
	if m := alice.message(); m.Type != "subscribe" {
		t.Fatalf("subscribe %+v", m)
	}
	alice.send(`{"id":"3","type":"response","from":"connection://example.com/c1/subscription","to":"runtime://example.com/r-bob/sm","body":{"code":200,"value":{}}}`)
	if m := bob.message(); m.Type != "response" || string(m.ID) != `"3"` || m.To != "runtime://example.com/r-bob/sm" {
		t.Fatalf("response %+v", m)
	}
	alice.send(`{"id":11,"type":"update","from":"connection://example.com/c1","to":"connection://example.com/c1/changes","body":{"version":5,"attribute":"iceCandidates.2"}}`)
	if m := bob.message(); m.Body.Attribute != "iceCandidates.2" {
		t.Fatalf("update %+v", m)
	}
}

func TestPlainStub(t *testing.T) {
	n := start(t, Options{Legacy: true})
	alice, bob := n.plain(t, rAlice), n.plain(t, rBob)
	setUp(t, alice, bob)
	m := alice.ask(200, `{"id":4,"type":"create","from":"runtime://example.com/r-alice/address-allocation","to":"domain://msg-node.example.com/address-allocation","body":{"scheme":"comm","value":{"number":2,"allocationKey":"k"}}}`)
	if !strings.Contains(string(m.Body.Value), "comm://example.com/") || m.To != "runtime://example.com/r-alice/address-allocation" {
		t.Errorf("%+v", m)
	}
	alice.ask(200, `{"id":5,"type":"delete","from":"runtime://example.com/r-alice/address-allocation","to":"domain://msg-node.example.com/address-allocation","body":{"childrenResources":[["k"]]}}`)
	// The address of a hyperty that has sent is learned, so that the answer finds it.
	alice.send(`{"id":12,"type":"create","from":"hyperty://example.com/a1","to":"runtime://example.com/r-bob/sm","body":{}}`)
	bob.message()
	bob.send(`{"id":12,"type":"response","from":"runtime://example.com/r-bob/sm","to":"hyperty://example.com/a1","body":{"code":200}}`)
	if m := alice.message(); m.To != "hyperty://example.com/a1" {
		t.Errorf("%+v", m)
	}
	// But it may not send from others' addresses.
	bob.ask(403, `{"id":13,"type":"create","from":"runtime://example.com/r-alice/sm","to":"runtime://example.com/r-alice/sm","body":{}}`)
	// Lists in to are split.
	alice.send(`{"id":14,"type":"create","from":"hyperty://example.com/a1","to":["runtime://example.com/r-bob/sm","runtime://example.com/r-bob/registry"],"body":{}}`)
	for _, to := range []string{rBob + "/sm", rBob + "/registry"} {
		if m := bob.message(); m.To != to {
			t.Errorf("%+v", m)
		}
	}
	alice.ask(404, `{"id":15,"type":"create","from":"hyperty://example.com/a1","to":"hyperty://example.com/nobody"}`)
	bob.send(`{"cmd":"disconnect","body":{"runtimeURL":"runtime://example.com/r-bob"}}`)
	if _, err := bob.read(); websocket.CloseStatus(err) != conn.CodeLeft {
		t.Error(err)
	}
	eventually(t, "bob is gone", func() bool { return !n.router.Roster.Connected("hyperty-runtime://example.com/r-bob") })
	alice.ask(404, `{"id":16,"type":"create","from":"hyperty://example.com/a1","to":"runtime://example.com/r-bob/sm"}`)
}

func TestSessionStub(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, Options{Legacy: true, Data: data})
	alice, bob := n.session(t), n.session(t)
	alice.ask(401, `{"id":1,"type":"create","from":"runtime://example.com/r-alice","to":"hyperty://example.com/x"}`)
	open := `{"id":1,"type":"open","from":"runtime://example.com/r-alice","to":"mn:/session"}`
	m := alice.ask(200, open)
	token := m.Body.RuntimeToken
	if token == "" || m.From != "mn:/session" || m.To != rAlice {
		t.Fatalf("%+v", m)
	}
	if again := alice.ask(200, open).Body.RuntimeToken; again != token {
		t.Errorf("another open gave another token")
	}
	bob.ask(200, strings.ReplaceAll(open, "r-alice", "r-bob"))
	setUp(t, alice, bob)
	bob.ask(403, `{"id":2,"type":"open","from":"runtime://example.com/r-eve","to":"mn:/session"}`)
	alice.ask(500, `{"id":3,"type":"create","to":"hyperty://example.com/x"}`)
	n.stop()

	n = start(t, Options{Legacy: true, Data: data})
	alice, bob = n.session(t), n.session(t)
	reopen := `{"id":2,"type":"re-open","from":"runtime://example.com/r-alice/%s","to":"mn:/session"}`
	alice.ask(500, fmt.Sprintf(reopen, "wrong"))
	alice.ask(500, fmt.Sprintf(reopen, token[:10]))
	alice.ask(200, fmt.Sprintf(reopen, token))
	bob.ask(200, strings.ReplaceAll(open, "r-alice", "r-bob"))
	bob.send(`{"id":5,"type":"create","from":"runtime://example.com/r-bob/sm","to":"connection://example.com/c1/subscription","body":{}}`)
	if m := alice.message(); string(m.ID) != "5" {
		t.Errorf("subscriptions did not survive: %+v", m)
	}
	alice.send(`{"id":3,"type":"close","to":"mn:/session"}`)
	if _, err := alice.read(); websocket.CloseStatus(err) != conn.CodeLeft {
		t.Error(err)
	}
	alice = n.session(t)
	alice.ask(500, fmt.Sprintf(reopen, token))
}

func TestBothDialectsTogether(t *testing.T) {
	n := start(t, Options{Legacy: true})
	alice, bob := n.join(t, 1), n.plain(t, rBob)
	alice.send(message.Message{ID: message.NumberID(3), Type: message.Create, From: alice.runtime.Join("sm"), To: rBob + "/sm",
		Source: alice.runtime, Via: []message.URL{alice.runtime.Join("protostub", "a"), alice.runtime.Join("protostub", "b")}})
	m := bob.message()
	if m.From != string(alice.runtime)+"/sm" || m.Body.Source != string(alice.runtime) || !strings.HasPrefix(string(m.Body.Via), "[") {
		t.Errorf("%+v", m)
	}
	bob.send(fmt.Sprintf(`{"id":3,"type":"response","from":"%s/sm","to":"%s/sm","body":{"code":"200"}}`, rBob, alice.runtime))
	if m := alice.message(); m.Type != message.Response {
		t.Errorf("%+v", m)
	}
	// A runtime that cannot prove a key gets no address that is derived from one.
	eve := n.session(t)
	eve.ask(403, fmt.Sprintf(`{"id":1,"type":"open","from":"%s","to":"mn:/session"}`, alice.runtime))
	bob.ask(403, fmt.Sprintf(`{"id":1,"type":"create","from":"%s/sm","to":"%s/sm"}`, alice.runtime, rBob))
	_, response, err := websocket.Dial(t.Context(), n.url+"/stub/connect?runtimeURL="+string(alice.runtime), nil)
	if err == nil || response.StatusCode != 403 {
		t.Errorf("a plain stub as %s: %v", alice.runtime, err)
	}
}

func TestMalformedJSON(t *testing.T) {
	n := start(t, Options{Legacy: true})
	alice := n.plain(t, rAlice)
	deep := strings.Repeat("[", 20_000)
	for _, text := range []string{`{`, `[]`, `5`, `"x"`, ``, `{"id":1,"type":"create","from":"runtime://example.com/r-alice"}`,
		`{"id":1,"type":"dance","from":"runtime://example.com/r-alice","to":"hyperty://example.com/x"}`,
		`{"id":1,"type":"create","from":"runtime://example.com/r-alice","to":"HT2P://x"}`,
		`{"id":1,"type":"create","from":"runtime://example.com/r-alice","to":[]}`,
		`{"id":1,"type":"create","from":"runtime://example.com/r-alice","to":"hyperty://example.com/x","body":[]}`,
		`{"id":1,"type":"create","from":"runtime://example.com/r-alice","to":` + deep} {
		alice.ask(400, text)
	}
	m := alice.ask(413, `{"id":77,"type":"create","from":"runtime://example.com/r-alice/sm","to":"hyperty://example.com/x","body":{"value":"`+strings.Repeat("x", 2<<20)+`"}}`)
	if string(m.ID) != "77" || m.To != rAlice+"/sm" {
		t.Errorf("%+v", m)
	}
	alice.ask(404, `{"id":78,"type":"create","from":"runtime://example.com/r-alice","to":"hyperty://example.com/x"}`)
	if err := alice.ws.Write(t.Context(), websocket.MessageBinary, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.read(); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Error(err)
	}
}

// A packet that is not text ends the connection of a reference stub once it is longer than a message: the node does not wait
// for the rest.
func TestLongBinaryPacketEndsAPlainConnection(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Legacy: true})
	alice := n.plain(t, rAlice)
	w, err := alice.ws.Writer(t.Context(), websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, message.MaxJSON+64<<10)) // fails where the node has closed it already
	eventually(t, "the connection has ended", func() bool { return n.conns.Len() == 0 })
}

// Long texts are parsed one at a time, so that a processor is left for what is only passed on, however many connections send
// them; short texts, and what others send, do not wait for that.
func TestLongTextsHaveTurns(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Legacy: true})
	alice, bob := n.plain(t, "runtime://example.com/r-alice"), n.plain(t, rBob)
	if err := n.rates.Turns.Take(t.Context(), quota.Asker{Conn: 1 << 60}); err != nil {
		t.Fatal(err)
	}
	alice.send(fmt.Sprintf(`{"id":1,"type":"create","from":"runtime://example.com/r-alice/sm","to":%q,"body":{"x":%q}}`, rBob+"/sm", strings.Repeat("x", 64<<10)))
	bob.ask(404, `{"id":2,"type":"create","from":"runtime://example.com/r-bob/sm","to":"hyperty://example.com/nobody"}`)
	eventually(t, "the long text waits for its turn", func() bool {
		_, askers := n.rates.Turns.State()
		return askers == 1
	})
	n.rates.Turns.Give()
	if m := bob.message(); string(m.ID) != "1" {
		t.Errorf("%+v", m)
	}
	// Whatever a long text says, the turn is given back.
	for i, text := range []string{`[`, `{"id":9,"type":"read","from":"runtime://example.com/r-alice/sm","to":"domain://registry.example.com","body":{"resource":"x"}}`,
		`{"id":9,"type":"create","from":"runtime://example.com/r-alice/sm","to":"domain://msg-node.example.com/address-allocation","body":{}}`} {
		alice.send(text + strings.Repeat(" ", 8<<10))
		alice.message()
		eventually(t, fmt.Sprint("text ", i, " gives the turn back"), func() bool {
			taken, _ := n.rates.Turns.State()
			return !taken
		})
	}
	alice.send(`{"cmd":"disconnect","body":{"runtimeURL":"runtime://example.com/r-alice"}}` + strings.Repeat(" ", 8<<10))
	if _, err := alice.read(); websocket.CloseStatus(err) != conn.CodeLeft {
		t.Error(err)
	}
	bob.ask(200, `{"id":3,"type":"create","from":"runtime://example.com/r-bob/sm","to":"domain://msg-node.example.com/address-allocation","body":{}}`)
}
