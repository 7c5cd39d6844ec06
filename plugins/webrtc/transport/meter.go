package transport

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
)

// Limits of what a peer may store in the memory of the library's DTLS and SCTP. The library itself limits only the payload that
// waits for its reader. But a message of one byte takes about 300 bytes, and it also stores data on streams that nobody reads, data
// behind a gap, and incomplete messages. All that it stores has come over the network, and is counted there.
const (
	// maxUnread is how many bytes of chunks may have come that are not explained by what was read and sent: a full window of
	// the smallest frames, and some for late and repeated packets. In chunks of one byte these are some 90,000, which
	// take 25 MiB.
	maxUnread      = receiveBuffer/smallestMessage*(chunkOverhead+smallestMessage) + 512<<10
	maxUnreadInAll = 32 << 20 // of all peers together

	// Sealed frames have at least 40 bytes; no honest runtime sends smaller ones.
	smallestFrame   = 40
	smallestMessage = lengthSize + smallestFrame
	chunkOverhead   = 20                  // header of a chunk of data
	chunkPayload    = 1 << 10             // the least payload of a chunk, in messages of several chunks
	recordOverhead  = 37                  // what DTLS adds to a packet
	packetOverhead  = 12 + recordOverhead // with the SCTP header; both are not stored

	// What was read explains half as much again, since packets that were thought to be lost come twice.
	repeatedNumerator, repeatedDenominator = 3, 2
	// What was sent explains acknowledgements: one for each packet, each of some hundred bytes where packets are lost.
	acknowledgement = 64
	acknowledged    = 4 // so many bytes that were sent explain one byte of acknowledgements

	maxHandshakeBytes = 256 << 10 // bytes of DTLS packets that have more than data

	recordHeader    = 13
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

// meter counts what comes from the peer of one connection. A nil one counts nothing.
type meter struct {
	fail      func(error)          // called with the reason when the peer exceeds a limit; on a goroutine that reads packets
	suspect   func()               // called when too much seems to have come; packets are counted before they are authenticated: see verify
	weigh     func()               // called when all peers together have sent too much
	authentic func() (bytes int64) // returns how many bytes SCTP has received, all of them authenticated

	settled   atomic.Bool  // the handshake is over
	explained atomic.Int64 // bytes that were explained since the last packet came
	unread    atomic.Int64 // bytes that are not explained; changed under mu

	mu        sync.Mutex
	received  int64 // bytes that have come, without what DTLS adds
	forged    int64 // those of them that SCTP had not received when that was checked
	in        *total
	judging   bool
	broken    bool
	handshake int // bytes of packets with records other than data
}

// total is the sum of unread of all live connections.
type total struct {
	bytes atomic.Int64
	most  int64 // weigh is called when there is more
}

// join counts the connection in the total from now on.
func (m *meter) join(all *total) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = all
	all.bytes.Add(m.unread.Load())
}

// lockedMeter is a meter whose mu is locked: methods that need that are methods of it.
type lockedMeter meter

func (x *meter) locked() *lockedMeter { return (*lockedMeter)(x) }

// leave removes the connection from the total.
func (m *meter) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.in != nil {
		m.in.bytes.Add(-m.unread.Load())
		m.in = nil
	}
}

// put sets what is unread, and tells whether the total is too large.
func (m *lockedMeter) put(unread int64) (heavy bool) {
	before := m.unread.Swap(unread)
	return m.in != nil && m.in.bytes.Add(unread-before) > m.in.most && unread > before
}

// measure sets the meter's functions for a connection. They run in goroutines that the transport waits for.
func (m *meter) measure(t *Transport, pc *webrtc.PeerConnection) {
	m.authentic = func() int64 {
		stats, _ := pc.GetStats()["sctpTransport"].(webrtc.SCTPTransportStats)
		return int64(stats.BytesReceived)
	}
	m.suspect = func() {
		if t.enter() == nil { // else the transport is being closed
			go func() {
				defer t.wg.Done()
				m.verify()
			}()
		}
	}
}

// read notes that a message was read.
func (m *meter) read(bytes int) {
	chunks := 1 + bytes/chunkPayload
	m.explained.Add(int64(bytes+chunks*(chunkOverhead+3)) * repeatedNumerator / repeatedDenominator)
}

// sent notes that a DTLS packet was sent.
func (m *meter) sent(bytes int) {
	if m != nil {
		m.explained.Add(int64(acknowledgement + bytes/acknowledged))
	}
}

// came notes packets that have come, and calls suspect or weigh if they are too much. A surplus of explained bytes is no credit
// for later.
func (m *meter) came(packets, bytes int) {
	if m == nil || packets == 0 {
		return
	}
	m.mu.Lock()
	m.received += int64(bytes - packets*recordOverhead)
	unread := max(0, m.unread.Load()-m.explained.Swap(0)) + int64(max(0, bytes-packets*packetOverhead))
	heavy := m.locked().put(unread)
	suspect := unread > maxUnread && !m.judging && !m.broken
	m.judging = m.judging || suspect
	m.mu.Unlock()
	if suspect {
		m.suspect()
	}
	if heavy {
		m.weigh()
	}
}

// explain updates what is unread with what was read and sent since the last packet came. come is how many bytes have come in all.
func (m *meter) explain() (come, unread int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unread = max(0, m.unread.Load()-m.explained.Swap(0))
	m.locked().put(unread)
	return m.received, unread
}

// settle is explain, without bytes that had come but were not received by SCTP: they are from others who forge the peer's
// address, or still on their way to SCTP.
func (m *meter) settle(come int64) (unread int64) {
	had := m.authentic()
	m.mu.Lock()
	defer m.mu.Unlock()
	forged := max(0, come-had)
	unread = max(0, m.unread.Load()-m.explained.Swap(0)+m.forged-forged)
	m.forged = forged
	m.locked().put(unread)
	return unread
}

// verify checks, after suspect was called, what SCTP has received, which is authenticated, and calls fail if that is too much. Other
// packets are not the peer's.
func (m *meter) verify() {
	come, _ := m.explain()
	unread := m.settle(come)
	m.mu.Lock()
	m.judging = false
	m.broken = unread > maxUnread
	fail := m.broken
	m.mu.Unlock()
	if fail {
		m.fail(fmt.Errorf("%w: %d KiB have come that are no frames, or were not read: at most %d", p2p.ErrBroken, unread>>10, int64(maxUnread)>>10))
	}
}

// passes tells whether a packet is passed to the library, which stores handshake messages even after the handshake.
func (m *meter) passes(b []byte) bool {
	if m == nil || !isDTLS(b) {
		return true
	}
	for rest := b; len(rest) > 0; {
		if len(rest) < recordHeader {
			return false
		}
		if rest[0] != recordData && rest[0] != recordAlert {
			return m.begins(len(b))
		}
		rest = rest[min(recordHeader+int(binary.BigEndian.Uint16(rest[recordHeader-2:])), len(rest)):]
	}
	return true
}

func isDTLS(b []byte) bool { return len(b) > 0 && b[0] >= 20 && b[0] <= 63 && !isSTUN(b) }

// begins counts bytes of a handshake. Too many of them end the set-up. After the handshake they are only dropped, since anybody can
// send them.
func (m *meter) begins(bytes int) bool {
	m.mu.Lock()
	pass := m.handshake+bytes <= maxHandshakeBytes
	if pass {
		m.handshake += bytes
	}
	fail := !pass && !m.broken && !m.settled.Load()
	m.broken = m.broken || fail
	m.mu.Unlock()
	if fail {
		// Not p2p.ErrBroken: these packets are not authenticated.
		m.fail(fmt.Errorf("a handshake of more than %d bytes has come, from the peer or in its name", maxHandshakeBytes))
	}
	return pass
}

// watch calls a function when the connection ends: first the one of the set-up, later the one of the channel. The first reason
// counts.
type watch struct {
	mu   sync.Mutex // not held during the call
	why  error
	tell func(error)
}

// end notes why the connection has ended.
func (w *watch) end(why error) {
	w.mu.Lock()
	first := w.why == nil
	if first {
		w.why = why
	}
	tell := w.tell
	w.mu.Unlock()
	if first {
		tell(why)
	}
}

// pass sets another function. It is called at once if the connection has ended.
func (w *watch) pass(tell func(error)) {
	w.mu.Lock()
	w.tell = tell
	why := w.why
	w.mu.Unlock()
	if why != nil {
		tell(why)
	}
}
