package transport

import (
	"runtime"
	"time"
)

// The library stores unread data, and data behind a gap, in the pieces in which the peer has sent it. A piece of one byte takes
// about 150 bytes. The stream's window counts payload only, so a peer could fill memory with little payload. The bytes on the wire
// show that, since small pieces are mostly overhead. So the bytes on the wire that are not explained by payload are limited.
const (
	watchEvery = 250 * time.Millisecond
	// overheadFactor is how many bytes may have come for each that was read. A sealed frame has at least 40 bytes, and a packet with
	// one such frame 80.
	overheadFactor = 3
	// overheadPacket is how many bytes may come for each packet that was sent: its acknowledgement.
	overheadPacket = 128
	// maxUnread is how many bytes may have come beyond that: a full window of small packets, and some for late packets.
	maxUnread = streamWindowMax*5/2 + 1<<20

	// All peers together may have much unread data, if there are many and the runtime is behind. Then it takes little more memory
	// than its bytes. So for all peers the heap itself is measured: heapUsual, and heapEach for each connection, are more than a
	// process needs for honest peers.
	heapUsual = 256 << 20
	heapEach  = 256 << 10
	// worthUnread is the least number of unexplained bytes for which a connection is closed because of the heap.
	worthUnread = 1 << 20
)

// ledger counts the bytes that have come on a connection and are not explained by what was read and sent. It does no I/O. The
// WebRTC plug-in's meter has the same purpose, but shares no code with it: its library has no such counts that are cheap to read,
// so it counts each packet as it comes, forged ones too.
type ledger struct {
	received, read, sent uint64
	unread               int64
}

// note updates the count. received, read and sent are totals of the connection: bytes received, bytes of the stream read, packets
// sent.
func (l *ledger) note(received, read, sent uint64) (unread int64) {
	l.unread += int64(received-l.received) - overheadFactor*int64(read-l.read) - overheadPacket*int64(sent-l.sent)
	l.unread = max(l.unread, 0) // a surplus is no credit for later
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

// look closes the channels beyond the limit. If the process needs too much memory, it closes the one that is nearest to it too.
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
	runtime.GC() // frees the memory of a connection that was closed just before
	if live := heap(); live > allowed {
		t.log.Warn("a connection is closed: the process needs too much memory, and of all peers this one has sent the most that was not read",
			"address", worst.conn.RemoteAddr(), "bytes", most, "heap", live)
		worst.close(codeMemory, "the memory is needed, and most of it is for what you have sent and nobody has read")
	}
}
