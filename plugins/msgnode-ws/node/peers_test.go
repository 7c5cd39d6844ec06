package node

import (
	"fmt"
	"testing"

	"golang.org/x/time/rate"
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
	if got := c.remembered.Load(); int(got) != bytes || n.memory.used.Load() != got {
		t.Errorf("%d bytes are counted, %d of the node, %d are kept", got, n.memory.used.Load(), bytes)
	}
}
