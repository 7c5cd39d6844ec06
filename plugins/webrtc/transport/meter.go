package transport

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
)

// What a peer may have in the memory of the library's DTLS and SCTP. The library bounds the payload that waits for its reader,
// and nothing else: a message of one byte costs it about 300, and it keeps what is on streams that nobody reads, what lies
// behind a gap and what is never complete. Whatever it keeps has come by the network, where all of it is counted.
const (
	// maxUnread is how many bytes of chunks may have come that are not explained by what was read and sent: a full window of
	// the smallest frames, and some for what is late and what came twice. In chunks of one byte that is some 90,000, which
	// take 25 MiB.
	maxUnread      = receiveBuffer/smallestMessage*(chunkOverhead+smallestMessage) + 512<<10
	maxUnreadInAll = 32 << 20 // of all peers together

	// Sealed frames have 40 bytes at least. A window of smaller ones, which no runtime sends, is not allowed for.
	smallestFrame   = 40
	smallestMessage = lengthSize + smallestFrame
	chunkOverhead   = 20                  // of a chunk of data: its header
	chunkPayload    = 1 << 10             // that a chunk has at least, of a message that has several
	recordOverhead  = 37                  // of a packet: what DTLS adds
	packetOverhead  = 12 + recordOverhead // and the header of SCTP: they leave nothing in memory

	// What was read explains half as much again: packets that were thought lost come twice.
	repeatedNumerator, repeatedDenominator = 3, 2
	// What was sent explains acknowledgements: one for each packet, and where packets are lost up to some hundred bytes of it.
	acknowledgement = 64
	acknowledged    = 4 // and so many bytes of what was sent explain one

	maxHandshakeBytes = 256 << 10 // of packets of DTLS that are not only data

	recordHeader    = 13
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

// meter counts what comes from the peer of one connection. A nil one counts nothing.
type meter struct {
	fail      func(error)          // is told what the peer has broken; on a goroutine that reads packets
	suspect   func()               // is told when too much has come, as far as packets tell that nobody has opened yet: see judge
	weigh     func()               // is told when all peers together have sent too much
	authentic func() (bytes int64) // how many bytes SCTP has had; they may be fewer than have come

	settled   atomic.Bool  // the handshake is over
	explained atomic.Int64 // bytes of what comes, since the last came
	unread    atomic.Int64 // bytes that were not explained; changed under mu

	mu        sync.Mutex
	plain     int64 // bytes that have come, without what DTLS adds
	forged    int64 // of them, those that SCTP had not had when that was looked at
	in        *total
	judging   bool
	broken    bool
	handshake int // bytes of packets with records that are no data
}

// total is what is unread of all connections that are live.
type total struct {
	bytes atomic.Int64
	most  int64 // of which weigh is told
}

// join counts the connection in the total from now on.
func (m *meter) join(all *total) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = all
	all.bytes.Add(m.unread.Load())
}

// leave ends that.
func (m *meter) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.in != nil {
		m.in.bytes.Add(-m.unread.Load())
		m.in = nil
	}
}

// put notes what is unread, and tells whether that is too much in all. m.mu is held.
func (m *meter) put(unread int64) (heavy bool) {
	before := m.unread.Swap(unread)
	return m.in != nil && m.in.bytes.Add(unread-before) > m.in.most && unread > before
}

// measure has the meter look at the connection where that is needed, on a goroutine that the transport waits for.
func (m *meter) measure(t *Transport, pc *webrtc.PeerConnection) {
	m.authentic = func() int64 {
		stats, _ := pc.GetStats()["sctpTransport"].(webrtc.SCTPTransportStats)
		return int64(stats.BytesReceived)
	}
	m.suspect = func() {
		if t.enter() == nil { // else the connection ends
			go func() {
				defer t.wg.Done()
				m.judge()
			}()
		}
	}
}

// read notes that a message has been read.
func (m *meter) read(bytes int) {
	chunks := 1 + bytes/chunkPayload
	m.explained.Add(int64(bytes+chunks*(chunkOverhead+3)) * repeatedNumerator / repeatedDenominator)
}

// sent notes that a packet of DTLS has been sent.
func (m *meter) sent(bytes int) {
	if m != nil {
		m.explained.Add(int64(acknowledgement + bytes/acknowledged))
	}
}

// came notes packets that have come, and has it looked at where they are too much. What was explained twice is no credit for
// later.
func (m *meter) came(packets, bytes int) {
	if m == nil || packets == 0 {
		return
	}
	m.mu.Lock()
	m.plain += int64(bytes - packets*recordOverhead)
	unread := max(0, m.unread.Load()-m.explained.Swap(0)) + int64(max(0, bytes-packets*packetOverhead))
	heavy := m.put(unread)
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

// explain brings what is unread up to date with what was read and sent since the last packet came. come is how much has.
func (m *meter) explain() (come, unread int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unread = max(0, m.unread.Load()-m.explained.Swap(0))
	m.put(unread)
	return m.plain, unread
}

// settle is explain that leaves out what SCTP has not had of what had come once: that is from others who write the peer's
// address on their packets, or still on its way here.
func (m *meter) settle(come int64) (unread int64) {
	had := m.authentic()
	m.mu.Lock()
	defer m.mu.Unlock()
	forged := max(0, come-had)
	unread = max(0, m.unread.Load()-m.explained.Swap(0)+m.forged-forged)
	m.forged = forged
	m.put(unread)
	return unread
}

// judge looks at what SCTP has had, once suspect was told, and tells fail where that is too much. The rest is not the peer's fault.
func (m *meter) judge() {
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

// passes tells whether a packet is shown to the library, which keeps the messages of a handshake, also those that come after it.
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

// begins counts bytes of a handshake. Those that are too many end the set-up, and once it is over are only left out: anybody can
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
		// Not p2p.ErrBroken: nothing shows whose these are.
		m.fail(fmt.Errorf("a handshake of more than %d bytes has come, from the peer or in its name", maxHandshakeBytes))
	}
	return pass
}

// watch tells one of the end of a connection: who sets it up, and then whose it is. The first reason counts.
type watch struct {
	mu   sync.Mutex // not held while one is told
	why  error
	tell func(error)
}

// end is told why the connection has ended.
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

// pass has another told, at once if the connection has ended.
func (w *watch) pass(tell func(error)) {
	w.mu.Lock()
	w.tell = tell
	why := w.why
	w.mu.Unlock()
	if why != nil {
		tell(why)
	}
}
