package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// data returns the next Data payloads that come for c, and the runtime that sent them.
func (c *client) data() (from message.URL, payloads []string) {
	c.t.Helper()
	for {
		kind, body := c.frame()
		if kind != wire.KindData {
			continue
		}
		peer, list, err := wire.ParseData(body)
		if err != nil {
			c.t.Fatal(err)
		}
		for p := range list.All() {
			payloads = append(payloads, string(p))
		}
		return message.URL(peer), payloads
	}
}

// acquaint makes two runtimes answer each other so often that each may send the other much from then on.
func acquaint(a, b *client) {
	words := make([][]byte, 16)
	for range peers.AnsweredFrames / peers.AnswerFrames / len(words) {
		for _, pair := range [][2]*client{{a, b}, {b, a}} {
			pair[0].write(wire.AppendData(nil, pair[1].runtime, words...))
			for n := 0; n < len(words); {
				_, data := pair[1].data()
				n += len(data)
			}
		}
	}
}

// The frames of a runtime that floods another one are dropped; the flooded runtime stays connected and gets others' frames;
// after an answer the first one may send again.
func TestFloodOfAStranger(t *testing.T) {
	n := start(t, Options{Limits: Limits{Queue: 2 << 20, Memory: 4 << 20}})
	alice, bob, mallory := n.join(t, 1), n.join(t, 2), n.join(t, 3)
	var packet []byte
	for range 4 {
		packet = wire.AppendData(packet, alice.runtime, make([]byte, 30<<10))
	}
	began := time.Now()
	for range 200 { // 24 MB, where alice's queue has 2
		mallory.write(packet)
	}
	mallory.write(wire.AppendData(nil, bob.runtime, []byte("over"))) // behind all of it
	if from, _ := bob.data(); from != mallory.runtime {
		t.Fatalf("from %s", from)
	}
	bob.write(wire.AppendData(nil, alice.runtime, []byte("hello")))
	flood := 0
	for heard := false; !heard; {
		from, data := alice.data()
		heard = from == bob.runtime && data[0] == "hello"
		for _, p := range data {
			flood += len(p)
		}
	}
	if most := 2*peers.StrangeBytes + int(time.Since(began).Seconds()*peers.UnansweredBytes); flood > most {
		t.Errorf("%d bytes of the flood came, at most %d may", flood, most)
	}
	alice.write(wire.AppendData(nil, mallory.runtime, []byte("go on")))
	if from, data := mallory.data(); from != alice.runtime || data[0] != "go on" {
		t.Fatalf("from %s: %q", from, data)
	}
	const many = peers.AnswerFrames
	for i := range many {
		mallory.write(wire.AppendData(nil, alice.runtime, []byte(fmt.Sprint(i))))
	}
	for i := 0; i < many; {
		_, data := alice.data()
		for _, p := range data {
			if p != fmt.Sprint(i) {
				t.Fatalf("got %q, want %d", p, i)
			}
			i++
		}
	}
}

// Of the frames of runtimes to which a runtime has never sent, it gets a bounded number, however many they are; those to which
// it has sent are not held up.
func TestFloodOfManyStrangers(t *testing.T) {
	n := start(t, Options{})
	alice, bob := n.join(t, 1), n.join(t, 2)
	acquaint(alice, bob)
	const strangers, each = 100, peers.StrangeFrames
	began := time.Now()
	for i := range strangers {
		mallory := n.join(t, 10+i)
		for range each {
			mallory.write(wire.AppendData(nil, alice.runtime, []byte("x")))
		}
		mallory.allocate(`{"scheme":"comm"}`) // the node has read all of it
	}
	bob.write(wire.AppendData(nil, alice.runtime, []byte("hello")))
	flood := 0
	for {
		from, data := alice.data()
		if from == bob.runtime {
			break
		}
		flood += len(data)
	}
	if took := time.Since(began); flood > peers.VisitFrames+int(peers.VisitRate*took.Seconds()) {
		t.Errorf("%d frames of strangers came in %v", flood, took)
	}
}

// Messages that the node only passes on cost their sender something too: a flood of them is refused, and other senders are not.
func TestRoutedMessagesAreBounded(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Limits: Limits{Requests: 1}})
	alice, bob, mallory := n.join(t, 1), n.join(t, 2), n.join(t, 3)
	for i := range 200 {
		mallory.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Update, From: mallory.runtime.Join("x"), To: alice.runtime.Join("x")})
	}
	refused := 0
	for refused < 150 { // while it is read slowly, about five more are allowed
		m := mallory.message()
		if r, err := m.Result(); err != nil || r.Code != message.CodeTooMany || !strings.Contains(r.Description, "try again in") {
			t.Fatalf("%+v, %v", r, err)
		}
		refused++
	}
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Update, From: bob.runtime.Join("x"), To: alice.runtime.Join("x")})
	for came := 0; ; came++ {
		if m := alice.message(); m.From == bob.runtime.Join("x") {
			if came > 50 {
				t.Errorf("%d messages of a flood came", came)
			}
			return
		}
	}
}

// The limit of a stranger counts payloads: many small ones in one frame do not evade it.
func TestManyPayloadsOfAStranger(t *testing.T) {
	n := start(t, Options{})
	alice, bob, mallory := n.join(t, 1), n.join(t, 2), n.join(t, 3)
	mallory.write(wire.AppendData(nil, alice.runtime, make([][]byte, 100_000)...))
	for kind := wire.KindRefused; kind == wire.KindRefused; { // the node has handled it when it answers what is behind it
		mallory.send(message.Message{ID: message.NumberID(1), Type: message.Read, From: mallory.runtime, To: lookups, Body: []byte(`{"resource":"hyperty://example.com/none"}`)})
		kind, _ = mallory.frame()
	}
	bob.write(wire.AppendData(nil, alice.runtime, []byte("hello")))
	for {
		from, list := alice.data()
		if from == bob.runtime {
			break
		}
		if len(list) > peers.StrangeFrames {
			t.Fatalf("%d payloads of a stranger came", len(list))
		}
	}
}
