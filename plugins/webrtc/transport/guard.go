package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// What a peer may have in SCTP's memory. The library bounds the payload that waits for its reader, and nothing else: a
// message of one byte costs it 300, another stream is one more buffer, and a message that is never complete is kept.
const (
	maxUnread    = 32000   // messages that have not been read; less than half of the numbers that DATA has
	minFragment  = 512     // bytes of every fragment of a message but its last
	maxFragments = 128     // of a message: 64 KiB of the smallest
	maxOverrun   = 1 << 20 // bytes of payload that come although the window is closed
	maxBeside    = 128     // bytes of a packet that has data and are none, which the library keeps with the data;
	maxWaste     = 4 << 20 // above that, more than there are of data
	maxHandshake = 256     // chunks that set an association up
	maxBeats     = 16      // heartbeats at once; those above are not answered
	beatInterval = time.Second
)

// Types of SCTP's chunks (RFC 9260, 8260, 6525 and 3758).
const (
	chunkData             = 0
	chunkInit             = 1
	chunkInitAck          = 2
	chunkSack             = 3
	chunkHeartbeat        = 4
	chunkCookieEcho       = 10
	chunkCookieAck        = 11
	chunkIData            = 64
	chunkReconfig         = 130
	chunkForwardTSN       = 192
	chunkIForwardTSN      = 194
	sctpHeader            = 12
	chunkHeader           = 4
	dataHeader            = 16
	iDataHeader           = 20
	paramReset            = 13
	paramReconfigResponse = 16
)

// What all peers together may have there, and what a message costs beside its bytes.
const (
	maxHeld     = 256 << 20
	heldStep    = 1 << 20 // by which one has more before all are looked at
	messageCost = 330
)

// guard stands between DTLS and SCTP. It shows the library nothing but what an honest peer sends, which has one ordered and
// reliable stream; the first packet that breaks a rule ends the association.
type guard struct {
	net.Conn
	fail  func(error) // is told what the peer has broken
	weigh func()      // is told when this association holds much more than it did
	rules rules

	read   atomic.Uint32 // messages that have been taken from the stream,
	taken  atomic.Uint32 // and their bytes
	closed atomic.Bool   // the window that the peer was told last is 0
	ahead  atomic.Int32  // messages that were not read, when the last packet came
	full   atomic.Int64  // bytes of payload that wait, and what had been taken, when the peer was told last: see note
	told   int64         // what was held when weigh was told
}

func newGuard(conn net.Conn, stream uint16, fail func(error), weigh func()) *guard {
	return &guard{Conn: conn, fail: fail, weigh: weigh, rules: rules{stream: stream, now: time.Now}}
}

// Read returns the next packet.
func (g *guard) Read(b []byte) (int, error) {
	for {
		n, err := g.Conn.Read(b)
		if err != nil {
			return n, err
		}
		pass, err := g.rules.packet(b[:n], g.read.Load(), g.closed.Load())
		g.ahead.Store(g.rules.ahead)
		if err != nil {
			err = fmt.Errorf("the peer broke the protocol: %w", err)
			g.fail(err)
			return 0, err
		}
		if pass {
			return n, nil
		}
	}
}

// took notes that a message has been taken from the stream.
func (g *guard) took(bytes int) {
	g.read.Add(1)
	g.taken.Add(uint32(bytes))
}

// Write sends a packet, and notes the window that it tells.
func (g *guard) Write(b []byte) (int, error) {
	if len(b) >= sctpHeader+12 && b[sctpHeader] == chunkSack {
		g.note(binary.BigEndian.Uint32(b[sctpHeader+8:]))
	}
	return g.Conn.Write(b)
}

// note takes the window that the peer is told, from which follows what waits.
func (g *guard) note(window uint32) {
	if full := window == 0; full != g.closed.Load() {
		g.closed.Store(full)
	}
	waits := max(0, receiveBuffer-int64(window))
	g.full.Store(waits<<32 | int64(g.taken.Load()))
	switch held := g.held(); {
	case held < g.told:
		g.told = held
	case held-g.told >= heldStep:
		g.told = held
		g.weigh()
	}
}

// held is about how many bytes of memory the messages take that have come and were not read.
func (g *guard) held() int64 {
	full := g.full.Load()
	since := g.taken.Load() - uint32(full)
	return max(0, full>>32-int64(since)) + int64(g.ahead.Load())*messageCost
}

// rules is what a peer may send, and has sent of what is counted.
type rules struct {
	stream uint16 // the one stream
	now    func() time.Time

	starts    map[uint16]uint32 // by number: which fragment of an incomplete message came first
	seen      uint32            // how many messages had been read when the last packet came,
	ahead     int32             // and how many have come above these
	waste     int               // bytes that are kept with data, above the data
	overrun   int               // bytes that came while the window was closed
	handshake int               // chunks of a set-up
	beats     int               // heartbeats since beatsFrom
	beatsFrom time.Time
	reset     bool   // the peer has closed the stream
	resetID   uint32 // by which request
	lastTSN   uint32 // and this is the last of it
}

// packet checks a packet. read is how many messages have been read, closed that the peer knows of no room. Without an error
// and pass it is not worth an answer.
func (r *rules) packet(b []byte, read uint32, closed bool) (pass bool, err error) {
	if len(b) > smallPacket {
		return false, fmt.Errorf("a packet of %d bytes, at most %d", len(b), smallPacket)
	}
	if len(b) < sctpHeader {
		return false, fmt.Errorf("a packet of %d bytes is none of SCTP", len(b))
	}
	if !closed {
		r.overrun = 0
	}
	r.ahead, r.seen = max(0, r.ahead-int32(read-r.seen)), read
	pass = true
	data, payload := 0, 0
	for rest := b[sctpHeader:]; len(rest) > 0; {
		if len(rest) < chunkHeader {
			return false, fmt.Errorf("%d bytes follow the last chunk of a packet", len(rest))
		}
		size := int(binary.BigEndian.Uint16(rest[2:]))
		if size < chunkHeader || size > len(rest) {
			return false, fmt.Errorf("a chunk of %d bytes in %d", size, len(rest))
		}
		worth, err := r.chunk(rest[:size], read, closed)
		if err != nil {
			return false, err
		}
		pass = pass && worth
		if rest[0] == chunkData || rest[0] == chunkIData {
			data += size
			payload += size - dataHeader
		}
		rest = rest[min((size+3)&^3, len(rest)):]
	}
	if data > 0 {
		return pass, r.beside(len(b)-sctpHeader-data, payload)
	}
	return pass, nil
}

// beside counts what a packet with data has beside it.
func (r *rules) beside(bytes, payload int) error {
	if r.waste = max(0, r.waste+max(0, bytes-maxBeside)-payload); r.waste > maxWaste {
		return errors.New("packets of little data and much beside it")
	}
	return nil
}

func (r *rules) chunk(c []byte, read uint32, closed bool) (pass bool, err error) {
	switch c[0] {
	case chunkData, chunkIData:
		return true, r.data(c, read, closed)
	case chunkHeartbeat:
		return r.beat(), nil
	case chunkInit, chunkInitAck, chunkCookieEcho, chunkCookieAck:
		if r.handshake++; r.handshake > maxHandshake {
			return false, fmt.Errorf("more than %d chunks that set the association up", maxHandshake)
		}
	case chunkReconfig:
		return true, r.reconfig(c[chunkHeader:])
	case chunkForwardTSN, chunkIForwardTSN:
		return false, fmt.Errorf("a chunk of the type %d on a reliable stream", c[0])
	}
	return true, nil
}

// data checks a chunk of a message.
func (r *rules) data(c []byte, read uint32, closed bool) error {
	const (
		last, first, unordered = 1, 2, 4 // flags
	)
	header := dataHeader
	if c[0] == chunkIData {
		header = iDataHeader
	}
	if len(c) < header {
		return fmt.Errorf("a chunk of data of %d bytes", len(c))
	}
	tsn, stream := binary.BigEndian.Uint32(c[4:]), binary.BigEndian.Uint16(c[8:])
	if stream != r.stream {
		return fmt.Errorf("data of the stream %d: the one data channel is %d", stream, r.stream)
	}
	if c[1]&unordered != 0 {
		return errors.New("unordered data")
	}
	if r.reset && int32(tsn-r.lastTSN) > 0 {
		return errors.New("data after the end of the stream")
	}
	if c[1]&last == 0 && len(c)-header < minFragment {
		return fmt.Errorf("a fragment of %d bytes, at least %d", len(c)-header, minFragment)
	}
	if closed {
		if r.overrun += len(c) - header; r.overrun > maxOverrun {
			return fmt.Errorf("more than %d bytes although there is no room", maxOverrun)
		}
	}
	if c[0] == chunkIData {
		if err := r.number(int32(binary.BigEndian.Uint32(c[12:]) - read)); err != nil {
			return err
		}
		if n := binary.BigEndian.Uint32(c[16:]); c[1]&first == 0 && n >= maxFragments {
			return fmt.Errorf("a message of more than %d fragments", maxFragments)
		}
		return nil
	}
	number := binary.BigEndian.Uint16(c[10:])
	ahead := int16(number - uint16(read))
	if err := r.number(int32(ahead)); err != nil {
		return err
	}
	if c[1]&(first|last) == first|last || ahead < 0 {
		return nil
	}
	return r.fragment(number, tsn, uint16(read))
}

// number checks a message's number, from the first that was not read on.
func (r *rules) number(ahead int32) error {
	if ahead >= maxUnread {
		return fmt.Errorf("a message that is %d ahead of those that were read, at most %d", ahead, maxUnread)
	}
	r.ahead = max(r.ahead, ahead+1)
	return nil
}

// fragment checks that the fragments of a message, which are numbered one after the other, are not too many.
func (r *rules) fragment(number uint16, tsn uint32, read uint16) error {
	start, known := r.starts[number]
	if known {
		if d := int32(tsn - start); d >= maxFragments || d <= -maxFragments {
			return fmt.Errorf("a message of more than %d fragments", maxFragments)
		}
		return nil
	}
	if r.starts == nil {
		r.starts = make(map[uint16]uint32)
	}
	if len(r.starts)%64 == 63 { // those that were read
		for n := range r.starts {
			if int16(n-read) < 0 {
				delete(r.starts, n)
			}
		}
	}
	r.starts[number] = tsn
	return nil
}

// beat tells whether a heartbeat is answered.
func (r *rules) beat() bool {
	now := r.now()
	if back := int(now.Sub(r.beatsFrom) / beatInterval); back > 0 {
		r.beats, r.beatsFrom = max(0, r.beats-back), now
	}
	if r.beats >= maxBeats {
		return false
	}
	r.beats++
	return true
}

// reconfig checks a request to reset streams: a peer closes the one stream, once.
func (r *rules) reconfig(b []byte) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return fmt.Errorf("%d bytes follow the last parameter of a chunk", len(b))
		}
		kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			return fmt.Errorf("a parameter of %d bytes in %d", size, len(b))
		}
		switch kind {
		case paramReset:
			if size < 16 {
				return fmt.Errorf("a reset of %d bytes", size)
			}
			id, last := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[12:])
			if r.reset && id != r.resetID {
				return errors.New("a second reset")
			}
			r.reset, r.resetID, r.lastTSN = true, id, last
		case paramReconfigResponse:
		default:
			return fmt.Errorf("a request of the type %d to change streams", kind)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return nil
}
