package peers

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Peers remembers the runtimes that a connection sends Data to, and what each of them may be sent now. These are not strangers
// to the connection: what they send to it counts as an answer. If there are too many, those that have answered least are
// forgotten: so strangers that it answers, however many they are, displace none of its correspondents.
//
// The connection's reader alone calls Find, Add and Take; Brought and At may be called by another goroutine.
type Peers struct {
	strange *rate.Limiter // frames to all that have not answered
	told    *rate.Limiter // notices of Data that was dropped; used by the reader alone
	visits  *rate.Limiter // frames of strangers; used by Brought alone

	mu       sync.Mutex // the reader writes, the dispatcher reads
	byURL    map[string]*Peer
	byNumber map[uint64]*Peer
	last     uint64
	bytes    int // about what both maps keep
}

// Peer is one runtime.
type Peer struct {
	URL     message.URL
	Subject string // the subject for its frames
	Reply   string // the subject for NATS's notice that nobody is there
	Barred  bool   // the connection may not reach it

	number    uint64    // in byNumber
	allowance allowance // what it may be sent
}

const (
	// maxBytes bounds the memory that one connection makes the node use here. Beyond it, half is forgotten.
	maxBytes = 8 << 20
	// peerSize is about what a peer takes besides its URL.
	peerSize = 400
	// A peer with longKnown answers or more counts as a correspondent, not as a stranger that was answered once.
	longKnown = 16
)

func peerBytes(url int) int { return 2*url + peerSize }

// New returns empty Peers.
func New() *Peers {
	return &Peers{strange: rate.NewLimiter(connectionRate, connectionFrames), visits: rate.NewLimiter(VisitRate, VisitFrames),
		told: rate.NewLimiter(1, 1)}
}

// Find is the peer with the URL, or nil.
func (p *Peers) Find(url []byte) *Peer { return p.byURL[string(url)] } // only the reader writes the map

// Add remembers a peer that Find does not know. peer makes it, with the number by which At finds it. grown is how many bytes
// more are kept than before.
func (p *Peers) Add(url string, peer func(number uint64) Peer) (added *Peer, grown int) {
	if len(p.byURL) >= maxPeers || p.bytes > maxBytes {
		grown = -p.forget()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byURL == nil { // most connections are silent
		p.byURL, p.byNumber = map[string]*Peer{}, map[uint64]*Peer{}
	}
	size := peerBytes(len(url))
	p.bytes += size
	p.last++
	one := peer(p.last)
	one.number = p.last
	p.byURL[url], p.byNumber[p.last] = &one, &one
	return &one, grown + size
}

// At is the URL of the peer with the number, while it is remembered.
func (p *Peers) At(number uint64) (message.URL, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.byNumber[number]; found != nil {
		return found.URL, true
	}
	return "", false
}

// forget drops the half that has answered least, and returns how many bytes that were. The reader calls it.
func (p *Peers) forget() (freed int) {
	var bytes, count [math.MaxUint8 + 1]int // by how often they have answered
	for url, one := range p.byURL {
		bytes[one.allowance.answers] += peerBytes(len(url))
		count[one.allowance.answers]++
	}
	least, roomBytes, room := len(count), maxBytes/2, maxPeers/2
	for least > 0 && bytes[least-1] <= roomBytes && count[least-1] <= room {
		least--
		roomBytes, room = roomBytes-bytes[least], room-count[least]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for url, one := range p.byURL {
		size, answers := peerBytes(len(url)), int(one.allowance.answers)
		if answers == least-1 && size <= roomBytes && room > 0 { // some of these
			roomBytes, room = roomBytes-size, room-1
		} else if answers < least {
			delete(p.byURL, url)
			delete(p.byNumber, one.number)
			freed += size
			continue
		}
		if least > longKnown { // more correspondents than can be kept: keep those that were heard lately
			one.allowance.answers /= 2
		}
	}
	p.bytes -= freed
	return freed
}

// Take takes payloads for a peer off what it may be sent now, or tells that this is used up.
func (p *Peers) Take(to *Peer, payloads wire.Payloads) bool {
	return to.allowance.take(payloads, p.strange)
}

// Tell tells whether to notify the connection now that Data for a peer that does not answer is dropped: once a second.
func (p *Peers) Tell() bool { return p.told.Allow() }

// Brought notes a packet for the connection, all of it from one runtime: from. It is an answer if the connection has sent to
// that runtime: then known is true. A connection takes a limited number of frames from strangers: welcome tells whether it
// takes these.
func (p *Peers) Brought(packet []byte) (from []byte, known, welcome bool) {
	count := 0 // about how many payloads there are
	for len(packet) > 0 && count < AnsweredFrames/AnswerFrames {
		kind, body, rest, err := wire.Next(packet)
		if err != nil || kind != wire.KindData {
			break
		}
		peer, payloads, err := wire.ParseData(body)
		if err != nil {
			break
		}
		from, packet = peer, rest
		count += payloads.Count()
	}
	known = count > 0 && p.answered(from, count)
	return from, known, known || p.visits.AllowN(time.Now(), min(count, VisitFrames))
}

// answered counts answers of a runtime, if the connection has sent to it.
func (p *Peers) answered(from []byte, count int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := p.byURL[string(from)]
	if peer != nil && peer.allowance.came.Load() < AnsweredFrames {
		peer.allowance.came.Add(uint32(count))
	}
	return peer != nil
}
