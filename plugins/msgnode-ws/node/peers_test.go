package node

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// said has c send to a runtime that has answered so often since.
func said(t *testing.T, c *conn, name string, answers uint32) *peer {
	t.Helper()
	p, err := c.peer(fmt.Append(nil, "hyperty-runtime://example.com/", name))
	if err != nil {
		t.Fatal(err)
	}
	p.allowance.came.Add(answers)
	p.allowance.take(payloads(t, 1, 20), c.strange)
	return p
}

// A runtime that speaks with very many others at once keeps all of them.
func TestManyPeersAreRemembered(t *testing.T) {
	_, c := still(binary)
	c.strange = rate.NewLimiter(rate.Inf, 0)
	const all = 12_000
	first := make([]*peer, all)
	for round := range 3 {
		for i := range first {
			p := said(t, c, fmt.Sprintf("peer%032d", i), 1)
			if round == 0 {
				first[i] = p
			} else if p != first[i] {
				t.Fatalf("round %d: the node has forgotten peer %d", round, i)
			}
		}
	}
}

// A runtime with many peers that has connected anew may say something to each of them at once, before any has answered.
func TestPeersAreGreetedAnew(t *testing.T) {
	n, _ := still(binary)
	n.ctx = t.Context()
	c := n.newConn(&netConn{}, quota.Source{}, binary)
	defer c.cancel()
	for i := range 5000 {
		p, err := c.peer(fmt.Append(nil, "hyperty-runtime://example.com/", i))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // what it has to say, and what it says again
			if !p.allowance.take(payloads(t, 1, 1000), c.strange) {
				t.Fatalf("peer %d is not reached", i)
			}
		}
	}
}

// Whoever has a runtime answer very many strangers, one after the other, has the node forget these, and not the ones that it
// speaks with.
func TestStrangersDisplaceNoPeers(t *testing.T) {
	n, c := still(binary)
	c.strange = rate.NewLimiter(rate.Inf, 0)
	var friends []*peer
	for i := range 1000 {
		friends = append(friends, said(t, c, fmt.Sprint("friend", i), 20))
	}
	for i := range 100_000 {
		said(t, c, fmt.Sprint("stranger", i), uint32(i%4))
		if len(c.peers.byURL) > maxPeers || len(c.peers.byNumb) > maxPeers || c.remembered.Load() > maxPeersBytes+4096 {
			t.Fatalf("%d runtimes, %d bytes are remembered", len(c.peers.byURL), c.remembered.Load())
		}
	}
	lost := 0
	for i, p := range friends {
		if said(t, c, fmt.Sprint("friend", i), 1) != p {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of 1000 were forgotten", lost)
	}
	bytes := 0
	for url := range c.peers.byURL {
		bytes += peerBytes(len(url))
	}
	if got := c.remembered.Load(); int(got) != bytes || n.memory.Kept() != got {
		t.Errorf("%d bytes are counted, %d of the node, %d are kept", got, n.memory.Kept(), bytes)
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
		c.asked.put(&message.Message{ID: message.NumberID(i), Type: message.Read, From: hyperty, To: "hyperty://example.com/bob"})
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
