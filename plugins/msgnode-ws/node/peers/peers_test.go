package peers

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
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

// Where there are too many peers, or too many bytes, half of them is kept: those that have answered most.
func TestThoseThatAnswerMostAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		url  string // of each peer, before its number
		most int
	}{
		"short URLs": {"", maxPeers},
		"long URLs":  {strings.Repeat("x", 2000), maxBytes/peerBytes(2000+len("hyperty-runtime://example.com/12345")) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := talkative()
			for i := range c.most {
				p.said(t, fmt.Sprintf("%s%05d", c.url, i), uint32(1+i%4)).Subject = fmt.Sprint(i)
			}
			if len(p.byURL) != c.most {
				t.Fatalf("%d of %d are remembered", len(p.byURL), c.most)
			}
			p.said(t, "one-more", 0)
			left, best := len(p.byURL)-1, 0
			for _, one := range p.byURL {
				if one.allowance.answers == 4 {
					best++
				}
				if one.allowance.answers < 3 && one.URL != "hyperty-runtime://example.com/one-more" {
					t.Fatalf("one that has answered %d times is kept", one.allowance.answers)
				}
			}
			if left < c.most/2-2 || left > c.most/2 || best < c.most/4 || len(p.byNumber) != left+1 {
				t.Errorf("%d of %d are kept, %d of those that have answered most; %d numbers", left, c.most, best, len(p.byNumber))
			}
		})
	}
}

// Where all have answered often, answers of long ago count for less each time that half is forgotten.
func TestOldAnswersCountLess(t *testing.T) {
	p := talkative()
	for i := range maxPeers {
		p.said(t, fmt.Sprint(i), 1000)
	}
	p.said(t, "one-more", 0)
	for _, one := range p.byURL {
		if a := one.allowance.answers; a != math.MaxUint8/2 && one.URL != "hyperty-runtime://example.com/one-more" {
			t.Fatalf("%d answers count", a)
		}
	}
	p = talkative()
	for i := range maxPeers {
		p.said(t, fmt.Sprint(i), longKnown-2)
	}
	p.said(t, "one-more", 0)
	for _, one := range p.byURL {
		if a := one.allowance.answers; a != longKnown-2 && one.URL != "hyperty-runtime://example.com/one-more" {
			t.Fatalf("%d answers of strangers count", a)
		}
	}
}

// A peer is found by its URL and by its number, for as long as it is remembered.
func TestPeersAreFound(t *testing.T) {
	p := New()
	if _, ok := p.At(0); ok || p.Find([]byte("x")) != nil {
		t.Error("somebody is found where nobody is")
	}
	var numbers []uint64
	add := func(url string) *Peer {
		one, grown := p.Add(url, func(number uint64) Peer {
			numbers = append(numbers, number)
			return Peer{URL: message.URL(url)}
		})
		if grown != peerBytes(len(url)) {
			t.Errorf("%s: %d bytes more are kept", url, grown)
		}
		return one
	}
	x, y := add("x"), add("yy")
	if p.Find([]byte("x")) != x || p.Find([]byte("yy")) != y || p.Find([]byte("z")) != nil {
		t.Error("not found by the URL")
	}
	for i, want := range []message.URL{"x", "yy"} {
		if u, ok := p.At(numbers[i]); !ok || u != want {
			t.Errorf("number %d is %s", numbers[i], u)
		}
	}
	if u, ok := p.At(numbers[1] + 1); ok {
		t.Errorf("a number to come is %s", u)
	}
}

// data is a Data frame of a runtime with so many payloads, which go to somebody else.
func data(from message.URL, payloads int) []byte {
	list := make([][]byte, payloads)
	for i := range list {
		list[i] = []byte("x")
	}
	return wire.AppendData(nil, from, list...)
}

const stranger message.URL = "hyperty-runtime://example.com/stranger"

// A connection takes so many frames of runtimes that it has sent nothing to, and no more; of its peers it takes all.
func TestVisits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := talkative()
		c.peer(t, "friend")
		welcome := func(from message.URL, frames int) bool {
			got, known, welcome := c.Brought(data(from, frames))
			if message.URL(got) != from || known != (from != stranger) {
				t.Fatalf("from %s, known: %v", got, known)
			}
			return welcome
		}
		const friend message.URL = "hyperty-runtime://example.com/friend"
		for range VisitFrames / 8 {
			if !welcome(stranger, 8) {
				t.Fatal("too early")
			}
		}
		if welcome(stranger, 1) || !welcome(friend, 100) || welcome(stranger, 1) {
			t.Error("one too many is welcome, or a peer is not")
		}
		time.Sleep(time.Second / VisitRate)
		if !welcome(stranger, 1) || welcome(stranger, 1) {
			t.Error("not one more a moment later")
		}
		time.Sleep(time.Hour)
		if !welcome(stranger, 100_000) { // one packet, whatever is in it
			t.Error("a large packet after an hour")
		}
	})
}

// Each payload that a peer sends counts as an answer, in whatever frames they come: for each the connection may send it more, up to
// a bound, however many come at once.
func TestAnswersAreCounted(t *testing.T) {
	const friend message.URL = "hyperty-runtime://example.com/friend"
	message := wire.AppendMessage(nil, &message.Message{Type: message.Read, From: friend, To: stranger})
	for name, x := range map[string]struct {
		packet  []byte
		answers int
	}{
		"one":                    {data(friend, 1), 1},
		"three in a frame":       {data(friend, 3), 3},
		"two frames":             {append(data(friend, 2), data(friend, 3)...), 5},
		"a message behind":       {append(data(friend, 2), message...), 2},
		"a damaged frame behind": {append(data(friend, 2), 1, 200), 2},
		"very many":              {data(friend, 1000), AnsweredFrames / AnswerFrames},
		"a message":              {message, 0},
		"nothing":                {nil, 0},
		"damaged":                {[]byte{byte(wire.KindData), 3, 1}, 0},
		"a damaged peer":         {wire.Append(nil, wire.KindData, []byte{200}), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := New()
			p, _ := c.Add(string(friend), func(uint64) Peer { return Peer{URL: friend} })
			for c.Take(p, payloads(t, 1, 20)) { // all that it may be sent before it answers
			}
			from, known, welcome := c.Brought(x.packet)
			if known != (x.answers > 0) || !welcome || known && string(from) != string(friend) {
				t.Errorf("%s: from %s, known: %v, welcome: %v", name, from, known, welcome)
			}
			n := 0
			for c.Take(p, payloads(t, 1, 20)) {
				n++
			}
			if n != x.answers*AnswerFrames {
				t.Errorf("%s: %d more may be sent", name, n)
			}
		})
	}
}

// Answers that nobody has looked at are not counted without end.
func TestUnseenAnswersAreBounded(t *testing.T) {
	const friend message.URL = "hyperty-runtime://example.com/friend"
	c := New()
	p, _ := c.Add(string(friend), func(uint64) Peer { return Peer{URL: friend} })
	packet := data(friend, 1)
	for range 3 * AnsweredFrames {
		c.Brought(packet)
	}
	if n := p.allowance.came.Load(); n != AnsweredFrames {
		t.Errorf("%d are counted", n)
	}
}

// Of what comes at once no more is looked at than counts.
func TestNoMoreIsReadThanCounts(t *testing.T) {
	const friend message.URL = "hyperty-runtime://example.com/friend"
	c := New()
	p, _ := c.Add(string(friend), func(uint64) Peer { return Peer{URL: friend} })
	var packet []byte
	for range 1000 {
		packet = append(packet, data(friend, 1)...)
	}
	c.Brought(packet)
	if n := p.allowance.came.Load(); n != AnsweredFrames/AnswerFrames {
		t.Errorf("%d of 1000 frames are counted", n)
	}
}

// A connection is told once a second that its Data is dropped.
func TestTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New()
		for range 3 {
			if !p.Tell() || p.Tell() {
				t.Error("not once")
			}
			time.Sleep(time.Second)
		}
	})
}
