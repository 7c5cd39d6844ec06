package transport

import (
	"runtime"
	"time"
)

// The library keeps what has come on a stream and was not read, and what lies behind a gap, as the peer has cut it up: a frame
// of one byte costs it about 150. The window counts payload only, so a peer could fill memory with little. What it has cost on
// the wire shows that: frames of few bytes are mostly overhead.
const (
	watchEvery = 250 * time.Millisecond
	// overheadFactor is how many bytes may have come for each that was read: sealed frames have 40 bytes at least, in packets
	// of 80 where each leaves alone.
	overheadFactor = 3
	// overheadPacket is what may come for each packet that was sent: its acknowledgement.
	overheadPacket = 128
	// maxUnread is how many bytes may have come beyond that: a full window of small packets, and some for what is late.
	maxUnread = streamWindowMax*5/2 + 1<<20

	// What all peers together have sent that was not read may be much, where there are many and the runtime is behind, and then
	// takes little more memory than its bytes. So the memory itself is looked at: heapUsual, and heapEach for each connection,
	// is more than a process needs for peers that are sound.
	heapUsual = 256 << 20
	heapEach  = 256 << 10
	// worthUnread is how many unexplained bytes a connection has at least that is closed for that.
	worthUnread = 1 << 20
)

// ledger counts what has come on a connection and was not explained by what was read and sent. It does no I/O. The
// WebRTC plug-in's meter follows the same idea and shares no code with it: there each packet is counted as it comes, some of
// them forged, as its library keeps no such counts that are cheap to ask for.
type ledger struct {
	received, read, sent uint64
	unread               int64
}

// note takes in the connection's counts since its begin: bytes received, bytes of the stream read, packets sent.
func (l *ledger) note(received, read, sent uint64) (unread int64) {
	l.unread += int64(received-l.received) - overheadFactor*int64(read-l.read) - overheadPacket*int64(sent-l.sent)
	l.unread = max(l.unread, 0) // what was explained twice is no credit for later
	l.received, l.read, l.sent = received, read, sent
	return l.unread
}

// watch closes channels whose peers send what is mostly overhead, until the transport is closed.
func (t *Transport) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var open []*channel
	for {
		select {
		case <-tick.C:
		case <-t.life.Done():
			return
		}
		t.mu.Lock()
		for c := range t.channels {
			open = append(open, c)
		}
		limit, heap := t.maxUnread, t.heap
		t.mu.Unlock()
		t.look(open, limit, heap)
		clear(open)
		open = open[:0]
	}
}

// look closes the channels beyond the limit, and the one that is the furthest toward it where the process needs too much memory.
func (t *Transport) look(open []*channel, limit int64, heap func() uint64) {
	var worst *channel
	most := int64(worthUnread)
	for _, c := range open {
		s := c.conn.ConnectionStats()
		unread := c.ledger.note(s.BytesReceived, c.on.read.Load(), s.PacketsSent)
		if unread > limit {
			t.log.Warn("a connection is closed: its peer sends much more than there is in it", "address", c.conn.RemoteAddr(), "bytes", unread)
			c.close(codeBroken, "far more bytes than payload")
		} else if unread >= most {
			worst, most = c, unread
		}
	}
	if worst == nil {
		return
	}
	allowed := heapUsual + heapEach*uint64(len(open))
	if heap() <= allowed {
		return
	}
	runtime.GC() // it may be that of one that was closed a moment ago
	if live := heap(); live > allowed {
		t.log.Warn("a connection is closed: the process needs too much memory, and of all peers this one has sent the most that was not read",
			"address", worst.conn.RemoteAddr(), "bytes", most, "heap", live)
		worst.close(codeMemory, "the memory is needed, and most of it is for what you have sent and nobody has read")
	}
}
