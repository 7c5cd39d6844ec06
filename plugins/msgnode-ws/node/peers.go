package node

import (
	"math"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// peers remembers the runtimes that a connection sends Data to: their subjects are hashes, made once, and those that it speaks
// with are no strangers to it. Where there are too many, those are forgotten that have answered it least: so strangers that it
// answers, however many they are, displace none of its correspondents.
type peers struct {
	mu     sync.Mutex // the reader writes, the dispatcher reads
	byURL  map[string]*peer
	byNumb map[uint64]*peer
	last   uint64
	bytes  int // about what both maps keep
}

type peer struct {
	url     message.URL
	subject string
	reply   string // where NATS says that nobody is there
	barred  bool   // the connection may not reach it

	number    uint64    // in byNumb
	allowance allowance // what it may be sent
}

const (
	// maxPeers and maxPeersBytes bound what one connection makes the node remember: all runtimes of a node with the usual
	// limits. Half is kept where it is more.
	maxPeers      = 16 << 10
	maxPeersBytes = 8 << 20
	// peerSize is about what a peer takes besides its URL.
	peerSize = 400
	// longKnown is from how many answers on a peer is no stranger that was answered once.
	longKnown = 16
)

func peerBytes(url int) int { return 2*url + peerSize }

// peer looks a runtime up by the text of its URL; it checks a new one.
func (c *conn) peer(text []byte) (*peer, error) {
	if p := c.peers.byURL[string(text)]; p != nil { // only the reader writes the map
		return p, nil
	}
	u, err := message.ParseURL(string(text))
	if err != nil {
		return nil, err
	}
	if u.Runtime() == "" || u.Runtime() != u.Canonical() {
		return nil, &message.URLError{Text: string(text), Reason: "not a runtime"}
	}
	if len(c.peers.byURL) >= maxPeers || c.peers.bytes > maxPeersBytes {
		c.remember(-c.peers.forget())
	}
	size := peerBytes(len(text))
	c.remember(size)
	c.peers.mu.Lock()
	defer c.peers.mu.Unlock()
	if c.peers.byURL == nil {
		c.peers.byURL, c.peers.byNumb = map[string]*peer{}, map[uint64]*peer{}
	}
	c.peers.bytes += size
	c.peers.last++
	n, number := c.node, c.peers.last
	p := &peer{url: u.Runtime(), subject: n.subjects.Frames(u.Runtime()), reply: n.reply(c, 'd', number), number: number, barred: !c.guest.mayReach(u)}
	c.peers.byURL[string(text)], c.peers.byNumb[number] = p, p
	return p, nil
}

// forget drops the half that has answered least, and returns how many bytes that were. The reader calls it.
func (p *peers) forget() (freed int) {
	var bytes, count [math.MaxUint8 + 1]int // by how often they have answered
	for url, one := range p.byURL {
		bytes[one.allowance.answers] += peerBytes(len(url))
		count[one.allowance.answers]++
	}
	least, roomBytes, room := len(count), maxPeersBytes/2, maxPeers/2
	for least > 0 && bytes[least-1] <= roomBytes && count[least-1] <= room {
		least--
		roomBytes, room = roomBytes-bytes[least], room-count[least]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for url, one := range p.byURL {
		size, answers := peerBytes(len(url)), int(one.allowance.answers)
		if answers == least-1 && size <= roomBytes && room > 0 { // of these some
			roomBytes, room = roomBytes-size, room-1
		} else if answers < least {
			delete(p.byURL, url)
			delete(p.byNumb, one.number)
			freed += size
			continue
		}
		if least > longKnown { // there are more correspondents than can be kept: those that were lately heard are dearer
			one.allowance.answers /= 2
		}
	}
	p.bytes -= freed
	return freed
}

func (p *peers) at(n uint64) (message.URL, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.byNumb[n]; found != nil {
		return found.url, true
	}
	return "", false
}
