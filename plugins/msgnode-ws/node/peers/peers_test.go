package peers

import (
	"fmt"
	"testing"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/sdk/message"
)

// correspondence is the peers of a connection, and what it sends them.
type correspondence struct {
	*Peers
	kept int // bytes, by Add's results
}

func (c *correspondence) peer(t *testing.T, name string) *Peer {
	t.Helper()
	url := "hyperty-runtime://example.com/" + name
	if p := c.Find([]byte(url)); p != nil {
		return p
	}
	p, grown := c.Add(url, func(uint64) Peer { return Peer{URL: message.URL(url)} })
	c.kept += grown
	return p
}

// said makes the connection send to a runtime, which then answers so often.
func (c *correspondence) said(t *testing.T, name string, answers uint32) *Peer {
	t.Helper()
	p := c.peer(t, name)
	p.allowance.came.Add(answers)
	c.Take(p, payloads(t, 1, 20))
	return p
}

// talkative returns Peers of a connection that may send to any number of strangers.
func talkative() *correspondence {
	p := New()
	p.strange = rate.NewLimiter(rate.Inf, 0)
	return &correspondence{Peers: p}
}

// A runtime that speaks with very many others at once keeps all of them.
func TestManyPeersAreRemembered(t *testing.T) {
	c := talkative()
	const all = 12_000
	first := make([]*Peer, all)
	for round := range 3 {
		for i := range first {
			p := c.said(t, fmt.Sprintf("peer%032d", i), 1)
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
	c := &correspondence{Peers: New()}
	for i := range 5000 {
		p := c.peer(t, fmt.Sprint(i))
		for range 3 { // the first frames, and their repetitions
			if !c.Take(p, payloads(t, 1, 1000)) {
				t.Fatalf("peer %d is not reached", i)
			}
		}
	}
}

// If a runtime is made to answer very many strangers, one after the other, the node forgets these, and not the runtime's
// correspondents.
func TestStrangersDisplaceNoPeers(t *testing.T) {
	c := talkative()
	var friends []*Peer
	for i := range 1000 {
		friends = append(friends, c.said(t, fmt.Sprint("friend", i), 20))
	}
	for i := range 100_000 {
		c.said(t, fmt.Sprint("stranger", i), uint32(i%4))
		if len(c.byURL) > maxPeers || len(c.byNumber) > maxPeers || c.kept > maxBytes+4096 {
			t.Fatalf("%d runtimes, %d bytes are remembered", len(c.byURL), c.kept)
		}
	}
	lost := 0
	for i, p := range friends {
		if c.said(t, fmt.Sprint("friend", i), 1) != p {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of 1000 were forgotten", lost)
	}
	bytes := 0
	for url := range c.byURL {
		bytes += peerBytes(len(url))
	}
	if c.kept != bytes {
		t.Errorf("%d bytes are counted, %d are kept", c.kept, bytes)
	}
}
