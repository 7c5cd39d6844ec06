package transport

import (
	"net"
	"net/netip"
	"runtime"
	"sync"

	"github.com/protofly/protofly/internal/busypoll"
)

// Packets that are sent to one address in quick succession leave with one system call, and packets that arrive so are read with
// one, where the system can. That saves most of a packet's cost in the system. No packet waits for others that may never
// come: a batch has the packets that were written while the batch before was being sent, and those that goroutines
// which are ready to run write at once.

const (
	maxRun     = 60 << 10  // bytes of one run
	maxPackets = 64        // packets of one run
	maxUnsent  = 512 << 10 // bytes that may wait to be sent; with more put blocks
	lookBack   = 8         // how many of the last runs are searched for one of the same address

	shortPacket = 128 // bytes; acknowledgements are shorter
	hesitations = 3
)

// hesitate lets goroutines read what has arrived before a short packet is sent. The library acknowledges every other packet as
// soon as it has read it. If it reads several packets before that, it acknowledges the rest together, which saves a tenth of the
// cost of a stream on both sides. If there is nothing to read, hesitate returns at once.
func hesitate() {
	for range hesitations { // each lets every goroutine run once; a packet passes several goroutines
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

// add appends a packet if it fits.
func (r *run) add(b []byte) bool {
	if r.closed || len(b) > r.size || len(r.b)+len(b) > maxRun {
		return false
	}
	r.b = append(r.b, b...)
	r.count++
	r.closed = len(b) < r.size || r.count == maxPackets
	return true
}

// outbox sends packets in batches. It is made by [newOutbox].
type outbox struct {
	socket *net.UDPConn
	ask    []byte // the control message of a run

	mu     sync.Mutex
	come   sync.Cond // signalled when there is a packet, or the outbox is closed
	gone   sync.Cond // signalled when a run was sent
	runs   []*run    // in order
	bytes  int       // in runs
	asleep bool      // the sending goroutine waits
	closed bool      // no more packets are accepted
}

// newOutbox returns nil if the system can only send packets one by one.
func newOutbox(socket *net.UDPConn) *outbox {
	if !sendsMany(socket) {
		return nil
	}
	o := &outbox{socket: socket, ask: make([]byte, askSize)}
	o.come.L, o.gone.L = &o.mu, &o.mu
	return o
}

// put queues a packet. Packets to the same address keep their order. It blocks while too much is unsent.
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

// join adds the packet to the last run of its address, and tells whether it has.
func (o *outbox) join(b []byte, to netip.AddrPort) bool {
	for i := len(o.runs) - 1; i >= 0 && i >= len(o.runs)-lookBack; i-- {
		if r := o.runs[i]; r.to == to {
			return r.add(b)
		}
	}
	return false
}

// runPool has runs that were sent, for reuse. It does not use internal/buffers, since a run goes back with its fields and its
// memory at once.
var runPool = sync.Pool{New: func() any { return &run{} }}

// start makes a run with its first packet.
func start(b []byte, to netip.AddrPort, of *muxConn) *run {
	r := runPool.Get().(*run)
	*r = run{to: to, of: of, size: len(b), count: 1, b: append(r.b[:0], b...)}
	return r
}

// work sends runs until the outbox is closed and empty.
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

// next waits for the next run. It returns nil at the end.
func (o *outbox) next() *run {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.runs) == 0 {
		if o.closed {
			return nil
		}
		o.asleep = true
		o.come.Wait()
		// The library writes packets one by one: let it write the others that it has.
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
	runPool.Put(r)
}

// send sends a run. A packet that the system refuses is lost, as any packet may be.
func (o *outbox) send(r *run) {
	busypoll.Carried(len(r.b))
	if r.count > 1 && !r.of.single.Load() {
		_, _, err := o.socket.WriteMsgUDPAddrPort(r.b, askFor(o.ask, r.size), r.to)
		if err == nil || !oneByOne(err) {
			return
		}
		r.of.single.Store(true) // the path to this peer cannot take several packets at once
	}
	for b := r.b; len(b) > 0; b = b[min(r.size, len(b)):] {
		_, _ = o.socket.WriteToUDPAddrPort(b[:min(r.size, len(b))], r.to)
	}
}

// close ends work, after it has sent all packets.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.come.Broadcast()
	o.gone.Broadcast()
}
