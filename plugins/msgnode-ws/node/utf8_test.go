package node

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// text reads the next text as a browser does: it has to be UTF-8, and JSON.
func (j *js) text() string {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind, text, err := j.ws.Read(ctx)
	if err != nil {
		j.t.Fatalf("read: %v", err)
	}
	if kind != websocket.MessageText || !utf8.Valid(text) || !json.Valid(text) {
		j.t.Fatalf("a browser cannot read %q", text)
	}
	return string(text)
}

// A connection that sends text which is not UTF-8 is closed with the code for that; no other connection is.
func TestTextIsUTF8(t *testing.T) {
	n := start(t, Options{Legacy: true})
	alice, bob := n.plain(t, rAlice), n.session(t)
	bob.ask(200, `{"id":1,"type":"open","from":"runtime://example.com/r-bob","to":"mn:/session"}`)
	send := `{"id":1,"type":"create","from":"runtime://example.com/r-alice/sm","to":"runtime://example.com/r-bob/sm","body":{"value":"%s"}}`
	alice.send(fmt.Sprintf(send, "good: é \\ud83d"))
	bob.text()
	for _, bad := range []string{"\xff", "\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80"} {
		eve := n.plain(t, "runtime://example.com/r-eve")
		eve.send(strings.ReplaceAll(fmt.Sprintf(send, bad), "r-alice", "r-eve"))
		if _, err := eve.read(); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
			t.Errorf("%q: %v", bad, err)
		}
	}
	eve := n.session(t)
	eve.send("{\"id\":\"\xff\",\"type\":\"open\",\"from\":\"runtime://example.com/r-eve\",\"to\":\"mn:/session\"}")
	if _, err := eve.read(); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Error(err)
	}
	// A text that is cut off since it is too long may end inside a character; the answer to its sender is valid text.
	alice.send(`{"id":7,"type":"create","from":"runtime://example.com/r-alice/sm","to":"runtime://example.com/r-bob/sm","body":{"value":"` + strings.Repeat("é", message.MaxJSON) + `"}}`)
	if m := alice.text(); !strings.Contains(m, "413") {
		t.Error(m)
	}
	alice.send(fmt.Sprintf(send, "still here"))
	if m := bob.text(); !strings.Contains(m, "still here") {
		t.Error(m)
	}
}

// What came as binary, or from another node, reaches a text connection as valid text or not at all.
func TestBinaryBecomesText(t *testing.T) {
	n := start(t, Options{Legacy: true})
	alice, bob := n.join(t, 1), n.plain(t, rBob)
	bad := message.Message{ID: message.NumberID(9), Type: message.Create, From: alice.runtime.Join("sm"), To: rBob + "/sm", Body: json.RawMessage("{\"value\":\"a\xffb\"}")}
	alice.send(bad)
	if m := alice.message(); m.Type != message.Response || !strings.Contains(string(m.Body), "400") {
		t.Errorf("%+v", m)
	}
	// IDs are the sender's text too, and are written unchanged.
	for _, id := range []string{`"a` + "\xff" + `"`, `"1","to":"hyperty://example.com/eve","x":""`, `"\"`, "Infinity", "0x10"} {
		body := append([]byte{2<<3 | 2, byte(len(id))}, id...)
		m := message.Message{Type: message.Create, From: alice.runtime, To: rBob + "/sm"}
		alice.write(wire.Append(nil, wire.KindMessage, append(body, m.AppendBinary(nil)...)))
		if kind, text := alice.frame(); kind != wire.KindRefused {
			t.Errorf("%s: frame %d %s", id, kind, text)
		}
	}
	// From another node of the domain, which may be of an earlier version.
	n.router.Publish(bad)
	if m := bob.text(); !strings.Contains(m, "a\uFFFDb") {
		t.Error(m)
	}
	alice.send(message.Message{ID: message.NumberID(10), Type: message.Create, From: bad.From, To: bad.To, Body: json.RawMessage(`{"value":"é"}`)})
	if m := bob.text(); !strings.Contains(m, "é") {
		t.Error(m)
	}
}

// The reason of a close is text as well, also where it is cut.
func TestCloseReasonIsUTF8(t *testing.T) {
	n := start(t, Options{Legacy: true})
	bob := n.plain(t, rBob)
	eventually(t, "bob is known", func() bool { return n.router.Roster.Connected("hyperty-runtime://example.com/r-bob") })
	n.router.Roster.Of("hyperty-runtime://example.com/r-bob").Kick(conn.CodeLeft, "x"+strings.Repeat("é", 100))
	_, err := bob.read()
	var e websocket.CloseError
	if !asClose(err, &e) || !utf8.ValidString(e.Reason) || e.Reason == "" {
		t.Errorf("%q", e.Reason)
	}
}
