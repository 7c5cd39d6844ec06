package node

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Whom a connection speaks with counts as kept for it, by what that takes: also where some are forgotten.
func TestPeersAreCounted(t *testing.T) {
	n, c := still(binary)
	c.peers = peers.New()
	kept := int64(0)
	for i := range 40_000 {
		if _, err := c.peer(fmt.Append(nil, "hyperty-runtime://example.com/", i)); err != nil {
			t.Fatal(err)
		}
		if kept = c.remembered.Load(); kept <= 0 || kept > 9<<20 || n.memory.Kept() != kept {
			t.Fatalf("%d bytes are kept for the connection, %d by the node", kept, n.memory.Kept())
		}
	}
	if kept < 1<<20 {
		t.Errorf("%d bytes are kept for thousands of peers", kept)
	}
}

// However many messages wait that nobody asked for, the responses to a runtime's own requests are taken: each once.
func TestOwnAnswersAreInvited(t *testing.T) {
	_, c := still(plainJSON)
	hyperty := c.runtime.Join("chat")
	for !c.out.Crowded(c.node.opts.Limits.Queue) {
		c.out.PutMessage(outbox.Packet{Data: make([]byte, 64<<10)}, false, c.node.opts.Limits.Queue)
	}
	for i := range uint64(10) {
		c.asked.Put(&message.Message{ID: message.NumberID(i), Type: message.Read, From: hyperty, To: "hyperty://example.com/bob"})
	}
	response := func(id uint64, kind message.Type) []byte {
		return wire.AppendMessage(nil, &message.Message{ID: message.NumberID(id), Type: kind, From: "hyperty://example.com/bob", To: hyperty})
	}
	for name, want := range map[string]struct {
		frame     []byte
		uninvited []bool
	}{
		"an answer":           {response(3, message.Response), []bool{false, true, true}},
		"to nothing":          {response(10, message.Response), []bool{true}},
		"a request like that": {response(4, message.Create), []bool{true, true}},
	} {
		for i, uninvited := range want.uninvited {
			if c.uninvited(want.frame) != uninvited {
				t.Errorf("%s, %d: uninvited is %v", name, i, !uninvited)
			}
		}
	}
}

// What an address is refused costs the connection nothing: once its neighbours are quiet it may ask for all that it might before.
func TestRefusedRequestsCostNothing(t *testing.T) {
	n, c := still(binary)
	n.rates = newRates(Limits{Requests: 100, AddressRequests: 10, Newcomers: 1, Handshakes: 1, Writes: 1})
	c.budget = rate.NewLimiter(100, 1000)
	c.from = quota.Source{Prefix: netip.MustParsePrefix("192.0.2.1/32")}
	for refused := 0; refused < 1000; {
		if n.charge(c, 10) != nil {
			refused++
		}
	}
	if left := c.budget.Tokens(); left < 800 {
		t.Errorf("%.0f of 1000 units are left of what the connection may ask for", left)
	}
}

// Where the node keeps too much, whoever has many connections with little each loses one of them before one who has a large one.
func TestManyConnectionsOfOneAddressMakeRoom(t *testing.T) {
	n, _ := still(binary)
	at := func(address string, kept int) *conn {
		c := &conn{node: n, ws: &websocket.Conn{}, account: account{from: quota.Source{Prefix: netip.MustParsePrefix(address + "/32")}}}
		c.remember(kept)
		return c
	}
	server := at("192.0.2.1", 5<<20)
	conns := []*conn{server}
	for i := range 100 {
		conns = append(conns, at("192.0.2.2", 1<<20+i))
	}
	if worst, bytes := largest(conns); worst != conns[100] || bytes != 1<<20+99 {
		t.Errorf("%v makes room, with %d bytes", worst.from, bytes)
	}
	if worst, _ := largest(conns[:4]); worst != server {
		t.Errorf("%v makes room", worst.from)
	}
	if worst, _ := largest([]*conn{at("192.0.2.3", 0)}); worst != nil {
		t.Error("one with nothing makes room")
	}
}
