package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/datachannel"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/p2p"
)

// wireOf returns the packets and bytes of a full window of messages of one size, each in a packet of its own or as many as fit
// in one.
func wireOf(message int, alone bool) (packets, bytes int) {
	const most = 1200 // of chunks in a packet
	count := receiveBuffer / message
	chunks := (message + most - chunkOverhead - 1) / (most - chunkOverhead)
	size := count * (chunks*chunkOverhead + (message+3)&^3)
	packets = count * chunks
	if !alone {
		packets = (size + most - 1) / most
	}
	return packets, size + packets*packetOverhead
}

// A window full of frames, of any size, does not end a connection whose reader is slow; and bytes that are read explain bytes
// that have come.
func TestMeterHonest(t *testing.T) {
	for _, frame := range []int{0, 1, 2, 3, 7, 40, 100, 1000, 1200, 5000, maxMessage - lengthSize} {
		for _, alone := range []bool{false, true} {
			m := &meter{suspect: func() { t.Errorf("frames of %d bytes, alone %v: too much", frame, alone) }, weigh: func() {}}
			message := frame + lengthSize
			packets, bytes := wireOf(message, alone)
			if frame >= smallestFrame { // no runtime sends smaller frames, so a window of them is not allowed
				m.came(packets, bytes)
				for range receiveBuffer / message {
					m.read(message)
				}
				m.came(1, packetOverhead)
				if n := m.unread.Load(); n != 0 {
					t.Errorf("frames of %d bytes, alone %v: %d bytes are left when all is read", frame, alone, n)
				}
			}
			for range 200 { // and with a reader that reads
				m.came(packets/100+1, bytes/100+packetOverhead)
				for range receiveBuffer/message/100 + 1 {
					m.read(message)
				}
			}
		}
	}
	m := &meter{suspect: func() { t.Error("acknowledgements: too many") }, weigh: func() {}}
	for range 1 << 20 { // of packets that this side sends, with a dozen of gaps each
		m.sent(1200)
		m.came(1, packetOverhead+16+12*4)
	}
}

// Unexplained bytes beyond the limit end the connection, whatever they are, once SCTP has received them. Packets with a forged
// address do not.
func TestMeterBounds(t *testing.T) {
	var why error
	suspected, had := 0, int64(0)
	m := &meter{fail: func(err error) { why = err }, weigh: func() {}, authentic: func() int64 { return had }}
	m.suspect = func() { suspected++ }
	const each = 1200
	for range 3 { // forged packets, three times as much as ends a connection
		for range maxUnread/(each-packetOverhead) + 1 {
			m.came(1, each)
		}
		m.verify()
	}
	if suspected != 3 || why != nil || m.unread.Load() != 0 {
		t.Fatalf("suspected %d times, %v, %d bytes", suspected, why, m.unread.Load())
	}
	m.explained.Add(1 << 30) // no credit for later
	for n := 0; why == nil; n++ {
		if n > 2*maxUnread/each {
			t.Fatal("any number of bytes")
		}
		m.came(1, each)
		if had += each - recordOverhead; suspected > 3 {
			m.verify()
			suspected = 3
		}
	}
	if !errors.Is(why, p2p.ErrBroken) {
		t.Error(why)
	}
	var none *meter
	none.came(1, each)
	none.sent(each)
}

func recordOf(kind byte, size int) []byte {
	b := make([]byte, recordHeader+size)
	b[0] = kind
	binary.BigEndian.PutUint16(b[recordHeader-2:], uint16(size))
	return b
}

// A handshake may have a limited number of bytes, and after it, records of handshakes are dropped; data is always passed.
func TestHandshakeBounds(t *testing.T) {
	for _, settled := range []bool{false, true} {
		var why error
		m := &meter{fail: func(err error) { why = err }}
		m.settled.Store(settled)
		taken, data := 0, 0
		mixed := append(recordOf(recordData, 20), recordOf(recordHandshake, 1000)...)
		for range maxHandshakeBytes / 500 {
			if m.passes(mixed) {
				taken += len(mixed)
			}
			if m.passes(recordOf(recordData, 30)) {
				data++
			}
		}
		if errors.Is(why, p2p.ErrBroken) { // anybody could have sent these packets, with the peer's address
			t.Errorf("settled %v: the peer is blamed: %v", settled, why)
		}
		if (why == nil) != settled || taken > maxHandshakeBytes || taken < maxHandshakeBytes-len(mixed) || data != maxHandshakeBytes/500 {
			t.Errorf("settled %v: %d bytes of a handshake, %d packets of data; %v", settled, taken, data, why)
		}
	}
}

// Nothing that a peer could send breaks the count.
func FuzzRecords(f *testing.F) {
	f.Add(append(recordOf(recordData, 20), recordOf(recordHandshake, 5)...), true)
	f.Add(recordOf(recordAlert, 2)[:14], false)
	f.Fuzz(func(t *testing.T, b []byte, settled bool) {
		m := &meter{fail: func(error) {}, suspect: func() {}, weigh: func() {}}
		m.settled.Store(settled)
		for range 3 {
			if wellFormed(b, true) && m.passes(b) {
				m.came(1, len(b))
			}
		}
		if m.handshake > maxHandshakeBytes || m.unread.Load() < 0 {
			t.Fatalf("%d bytes of a handshake, %d unread", m.handshake, m.unread.Load())
		}
	})
}

// The smallest frames of a runtime, one by one, to a reader that reads nothing until the sender has to wait: all arrive.
func TestSlowReaderOfTinyFrames(t *testing.T) {
	t.Parallel()
	a, b := connected(t, `{"listen":"127.0.0.1:0"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	frame := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, smallestFrame) }
	sent := 0
	for full := false; !full; {
		for ; a.TrySend(frame(sent)); sent++ {
		}
		select {
		case <-a.drained:
		case <-b.done:
			t.Fatal(b.why)
		case <-time.After(time.Second): // the peer's window is closed
			full = true
		}
	}
	t.Logf("%d frames, %d KiB unread of %d", sent, b.meter.unread.Load()>>10, maxUnread>>10)
	if sent < receiveBuffer/smallestMessage {
		t.Errorf("%d frames do not fill a window", sent)
	}
	for i := range sent {
		got, err := b.Recv(ctx)
		if err != nil || !bytes.Equal(got, frame(i)) {
			t.Fatalf("frame %d: %q, %v", i, got, err)
		}
	}
}

// lossy loses DTLS packets once it is switched on: given percentages of those that leave and of those that come.
type lossy struct {
	net.PacketConn
	out, in atomic.Int32
}

func lost(b []byte, part int32) bool { return part > 0 && isDTLS(b) && rand.Int32N(100) < part }

func (l *lossy) WriteTo(b []byte, to net.Addr) (int, error) {
	if lost(b, l.out.Load()) {
		return len(b), nil
	}
	return l.PacketConn.WriteTo(b, to)
}

func (l *lossy) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := l.PacketConn.ReadFrom(b)
		if err != nil || !lost(b[:n], l.in.Load()) {
			return n, from, err
		}
	}
}

// On a network that loses every fifth packet, or every other acknowledgement, so that much comes twice, no honest peer exceeds
// a limit.
func TestHonestOnBadNetwork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size    int
		out, in int32
	}{
		"small": {smallestFrame, 20, 20}, "of usual size": {100, 20, 20}, "large": {5000, 20, 20},
		"small, acknowledgements": {smallestFrame, 0, 50}, "large, acknowledgements": {5000, 0, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			l := &lossy{PacketConn: socket}
			end := newBareEndOn(t, l)
			c1 := meetsAt(t, transportFor(t), p2p.Handler, end).(*channel)
			stream := <-end.stream
			l.out.Store(c.out)
			l.in.Store(c.in)
			ctx, cancel := context.WithTimeout(t.Context(), longtest.Hung)
			defer cancel()
			frames, most := bothWays(ctx, t, c1, stream, c.size, 4*time.Second)
			t.Logf("%d frames, %d KiB unread at most, of %d", frames, most>>10, maxUnread>>10)
			if frames == 0 || most > maxUnread/2 {
				t.Errorf("%d frames, %d bytes unread at most", frames, most)
			}
		})
	}
}

// bothWays sends frames of the size both ways for a while, and until one has come or ctx ends: where several packets in a row
// are lost, SCTP waits for seconds. It returns how many have come, and how much was unread at most.
func bothWays(ctx context.Context, t *testing.T, c *channel, stream *datachannel.DataChannel, size int, while time.Duration) (frames int, most int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var come, over atomic.Bool
	defer time.AfterFunc(while, func() {
		if over.Store(true); come.Load() {
			cancel()
		}
	}).Stop()
	frame := make([]byte, lengthSize+size)
	binary.BigEndian.PutUint32(frame, uint32(size))
	drained := make(chan struct{}, 1)
	stream.SetBufferedAmountLowThreshold(128 << 10)
	stream.OnBufferedAmountLow(func() {
		select {
		case drained <- struct{}{}:
		default:
		}
	})
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() {
		for {
			if stream.BufferedAmount() <= 256<<10 {
				if _, err := stream.Write(frame); err != nil {
					return
				}
				if ctx.Err() == nil {
					continue
				}
			}
			select {
			case <-drained:
			case <-ctx.Done():
				return
			}
		}
	})
	others.Go(func() {
		for c.Send(ctx, frame[lengthSize:]) == nil {
		}
	})
	others.Go(func() {
		for b := make([]byte, largest); ; {
			if _, err := stream.Read(b); err != nil {
				return
			}
		}
	})
	defer func() { _ = stream.SetReadDeadline(time.Unix(1, 0)) }()
	for ; ; frames++ {
		if _, err := c.Recv(ctx); err != nil {
			if ctx.Err() == nil {
				t.Fatal(err)
			}
			return frames, most
		}
		most = max(most, c.meter.unread.Load())
		if come.Store(true); over.Load() {
			cancel()
		}
	}
}

// Packets with the forged address of a peer do not end its connection.
func TestForgedPackets(t *testing.T) {
	a, b := connected(t, `{"listen":"127.0.0.1:0"}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	from := netip.MustParseAddrPort(a.transport.socket.LocalAddr().String())
	junk := recordOf(recordData, 1200-recordHeader)
	for i := range 4 * maxUnread / 1200 {
		b.transport.mux.deliver(junk, len(junk), from)
		if i%100 == 0 {
			carry(ctx, t, a, b, []byte("there"))
			carry(ctx, t, b, a, []byte("back"))
		}
	}
}

// Set-ups at once are bounded.
func TestSetUpsAtOnce(t *testing.T) {
	tr := transportFor(t)
	tr.setUps = maxSetUps
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	_, err := tr.Connect(ctx, p2p.Peer{Local: alice, Remote: bob, Role: p2p.Handler}, &scripted{})
	if err == nil || !strings.Contains(err.Error(), "set-ups") || !strings.Contains(err.Error(), string(bob)) {
		t.Error(err)
	}
	tr.setUps = 0
	refused(t, tr, p2p.Handler, &scripted{then: errors.New("over")}, "over")
	if tr.setUps != 0 {
		t.Errorf("%d set-ups", tr.setUps)
	}
}
