package transport

import (
	"net"
	"net/netip"
	"runtime"
	"sync"

	"github.com/protofly/protofly/internal/busypoll"
)

// Packets that go to one address in quick succession go with one system call, and those that come so come with one,
// where the system can: then most of what a packet costs in the system is paid once for all of them. No packet waits for
// others that may never come: what is gathered is what came while the one before was on its way, and what those that
// could run at once have written by then.

const (
	maxRun     = 60 << 10  // bytes of packets that go at once
	maxPackets = 64        // of them
	maxUnsent  = 512 << 10 // bytes that wait to be sent; who has more waits
	lookBack   = 8         // runs that are looked at for one of the same address

	shortPacket = 128 // bytes: of an acknowledgement, for one
	hesitations = 3
)

// hesitate has what has arrived read before a short packet is sent. The library acknowledges every other packet as soon as
// it has read it; of packets that came at once, it then acknowledges the rest together. That is a tenth of what a stream
// costs both sides. Where there is nothing to be read it is over at once.
func hesitate() {
	for range hesitations { // each lets every goroutine have a turn, and what one has read another takes further
		runtime.Gosched()
	}
}

// run is packets to one address, all of one size but the last, which may be smaller.
type run struct {
	to     netip.AddrPort
	of     *muxConn
	size   int
	count  int
	b      []byte
	closed bool // its last packet is smaller, or it is full
}

// add appends a packet where it fits.
func (r *run) add(b []byte) bool {
	if r.closed || len(b) > r.size || len(r.b)+len(b) > maxRun {
		return false
	}
	r.b = append(r.b, b...)
	r.count++
	r.closed = len(b) < r.size || r.count == maxPackets
	return true
}

// outbox sends packets, gathered; make it with [newOutbox].
type outbox struct {
	socket *net.UDPConn
	ask    []byte // room for what the system is told of a run

	mu     sync.Mutex
	come   sync.Cond // signalled when there is something to send, or the end
	gone   sync.Cond // when something has been sent
	runs   []*run    // in order
	bytes  int       // in runs
	asleep bool      // the sender waits
	closed bool      // no more is put
}

// newOutbox returns nil where the system sends packets one by one.
func newOutbox(socket *net.UDPConn) *outbox {
	if !sendsMany(socket) {
		return nil
	}
	o := &outbox{socket: socket, ask: make([]byte, askSize)}
	o.come.L, o.gone.L = &o.mu, &o.mu
	return o
}

// put has a packet sent, after those that were put before it for the same address. It waits where too much is unsent.
func (o *outbox) put(b []byte, to netip.AddrPort, of *muxConn) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes > maxUnsent && !o.closed {
		o.gone.Wait()
	}
	if o.closed {
		return net.ErrClosed
	}
	o.bytes += len(b)
	if !o.join(b, to) {
		o.runs = append(o.runs, start(b, to, of))
	}
	if o.asleep {
		o.asleep = false
		o.come.Signal()
	}
	return nil
}

// join adds the packet to the latest run of its address.
func (o *outbox) join(b []byte, to netip.AddrPort) bool {
	for i := len(o.runs) - 1; i >= 0 && i >= len(o.runs)-lookBack; i-- {
		if r := o.runs[i]; r.to == to {
			return r.add(b)
		}
	}
	return false
}

// rooms are runs that have been sent, for their room: an outbox that sends nothing has none.
var rooms = sync.Pool{New: func() any { return &run{} }}

// start is a new run with its first packet.
func start(b []byte, to netip.AddrPort, of *muxConn) *run {
	r := rooms.Get().(*run)
	*r = run{to: to, of: of, size: len(b), count: 1, b: append(r.b[:0], b...)}
	return r
}

// work sends until the end, and then what is left.
func (o *outbox) work() {
	for {
		r := o.next()
		if r == nil {
			return
		}
		o.send(r)
		o.done(r)
	}
}

// next takes the run that is due, or returns nil at the end.
func (o *outbox) next() *run {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.runs) == 0 {
		if o.closed {
			return nil
		}
		o.asleep = true
		o.come.Wait()
		// The library writes its packets one by one, as soon as it has one: let it write the others that it has.
		o.mu.Unlock()
		runtime.Gosched()
		o.mu.Lock()
	}
	r := o.runs[0]
	o.runs = append(o.runs[:0], o.runs[1:]...)
	return r
}

func (o *outbox) done(r *run) {
	o.mu.Lock()
	o.bytes -= len(r.b)
	o.gone.Broadcast()
	o.mu.Unlock()
	r.of = nil
	rooms.Put(r)
}

// send sends a run. What the network does not take is lost, as any packet may be.
func (o *outbox) send(r *run) {
	busypoll.Carried(len(r.b))
	if r.count > 1 && !r.of.single.Load() {
		_, _, err := o.socket.WriteMsgUDPAddrPort(r.b, askFor(o.ask, r.size), r.to)
		if err == nil || !oneByOne(err) {
			return
		}
		r.of.single.Store(true) // this way does not take several
	}
	for b := r.b; len(b) > 0; b = b[min(r.size, len(b)):] {
		_, _ = o.socket.WriteToUDPAddrPort(b[:min(r.size, len(b))], r.to)
	}
}

// close ends work, when it has sent what was put.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.come.Broadcast()
	o.gone.Broadcast()
}
