package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v2"

	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/sdk/udp"
	"github.com/protofly/protofly/sdk/udp/reach"
)

const (
	largestPacket = 8 << 10 // of what the library takes
	smallPacket   = 1500    // what nearly all fit in
	maxAddresses  = 64      // of a peer at once, that packets are sent to
	maxStrange    = 256     // of a peer in all, that nobody has sent to before they were heard
)

// mux shares the one socket between the connections. The library's own takes packets for any of the addresses of a
// machine with the readers of all of them, whichever is the first, and so is told every other time that an answer came
// to an address from which nothing had been asked: then it needs several times 200 ms to agree on a way, or does not.
// Here one of a connection's readers, for each kind of address, has all packets; the others only send. Nothing is lost
// by that, because the socket is the same and the system chooses the address that a packet is sent from.
//
// Peers name the addresses that packets are sent to, and so may name each other's: routes.go says whose packets are whose,
// and what may be sent where nobody has answered.
type mux struct {
	raw    *net.UDPConn
	source *udp.Reader
	out    *outbox // what is sent at once, where the system can
	uses   func(name string) bool
	loop   bool // loopback addresses are offered
	policy reach.Policy

	reader, sender sync.WaitGroup

	mu     sync.RWMutex
	byName map[muxName]*muxConn
	routes map[netip.AddrPort]*route // by the address of the peer
	asked  map[transaction]question
	budget *reach.Budget
	closed bool
}

// muxName is how a packet says for whom it is.
type muxName struct {
	ufrag string // of this side
	six   bool
}

// peersMux is the mux for one connection with a peer.
type peersMux struct {
	*mux
	peer  string
	meter *meter
}

var _ ice.UDPMux = peersMux{}

// GetConn returns what a connection uses the socket with, at one of the addresses. The first for a kind of address
// reads, the others only send.
func (m peersMux) GetConn(ufrag string, at net.Addr) (net.PacketConn, error) {
	return m.part(ufrag, m.peer, m.meter, at)
}

// newMux starts to read the socket.
func newMux(socket *net.UDPConn, s *settings) (*mux, error) {
	source, err := udp.NewReader(socket, busypoll.Inherited())
	if err != nil {
		return nil, fmt.Errorf("webrtc: read the UDP socket: %w", err)
	}
	m := &mux{
		raw: socket, source: source, out: newOutbox(socket), uses: s.uses, loop: s.loopback,
		policy: reach.Policy{Loopback: s.loopback, Private: s.private, Broadcasts: broadcasts()},
		byName: map[muxName]*muxConn{}, routes: map[netip.AddrPort]*route{}, asked: map[transaction]question{},
		budget: reach.NewBudget(limits()),
	}
	m.reader.Go(m.read)
	if m.out != nil {
		m.sender.Go(m.out.work)
	}
	return m, nil
}

// Close ends every connection's packets, and the socket.
func (m *mux) Close() error {
	m.mu.Lock()
	m.closed = true
	all := make([]*muxConn, 0, len(m.byName))
	for _, c := range m.byName {
		all = append(all, c)
	}
	m.mu.Unlock()
	if m.out != nil {
		m.out.close()
		m.sender.Wait()
	}
	err := m.raw.Close()
	for _, c := range all {
		_ = c.Close()
	}
	m.reader.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// GetListenAddresses returns the addresses at which peers may reach the socket, as the machine has them now.
func (m *mux) GetListenAddresses() []net.Addr {
	local := m.raw.LocalAddr().(*net.UDPAddr)
	if !local.IP.IsUnspecified() {
		return []net.Addr{local}
	}
	var found []net.Addr
	interfaces, _ := net.Interfaces() // none: none
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 && !m.loop || !m.uses(i.Name) {
			continue
		}
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && offered(n.IP, m.loop) && (n.IP.To4() != nil || local.IP.To4() == nil) {
				found = append(found, &net.UDPAddr{IP: n.IP, Port: local.Port})
			}
		}
	}
	return found
}

// offered tells whether a peer may be told the address. Of IPv6 only those are that need no zone; the machine itself is
// reached by 127.0.0.1.
func offered(ip net.IP, loopback bool) bool {
	switch {
	case ip.IsUnspecified() || ip.IsMulticast():
		return false
	case ip.To4() != nil:
		return loopback || !ip.IsLoopback()
	}
	return !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}

func (m *mux) part(ufrag, peer string, meter *meter, at net.Addr) (net.PacketConn, error) {
	udp, ok := at.(*net.UDPAddr)
	if !ok {
		return nil, errors.New("not a UDP address")
	}
	name := muxName{ufrag, udp.IP.To4() == nil}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, net.ErrClosed
	}
	if c := m.byName[name]; c != nil {
		return sender{c}, nil
	}
	c := &muxConn{mux: m, name: name, peer: peer, meter: meter, arrived: make(chan struct{}, 1)}
	m.byName[name] = c
	return c, nil
}

// RemoveConnByUfrag ends a connection's use of the socket.
func (m *mux) RemoveConnByUfrag(ufrag string) {
	m.mu.RLock()
	four, six := m.byName[muxName{ufrag, false}], m.byName[muxName{ufrag, true}]
	m.mu.RUnlock()
	for _, c := range []*muxConn{four, six} {
		if c != nil {
			_ = c.Close()
		}
	}
}

func routeKey(a *net.UDPAddr) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(a.IP)
	return netip.AddrPortFrom(ip.Unmap(), uint16(a.Port))
}

// packet is one that waits for its reader.
type packet struct {
	b    []byte
	from *net.UDPAddr
	next *packet
}

// packets has room for those of usual size.
var packets = sync.Pool{New: func() any { return &packet{b: make([]byte, 0, smallPacket)} }}

// maxWaiting bounds what waits for one connection's reader, in bytes. The library takes packets at once, so that more
// than this only comes from a peer that does not heed what it was granted; it is then dropped, as by the network.
const maxWaiting = 4 << 20

// muxConn is a connection's part of the socket.
type muxConn struct {
	mux     *mux
	name    muxName
	peer    string
	meter   *meter
	arrived chan struct{} // holds a token when packets wait, or c is closed
	single  atomic.Bool   // packets to the peer do not go at once

	mu          sync.Mutex
	first, last *packet
	waiting     int // bytes
	closed      bool
	run         int // packets that its reader took without a pause; the reader's own

	addresses []netip.AddrPort // that it has sent to and routes have, the oldest first; guarded by mux.mu
	strange   int              // addresses that were heard before; these too are guarded by mux.mu
	asked     []transaction    // that are in mux.asked, the oldest first
	creditAt  netip.AddrPort   // where requests have come from,
	credit    int              // and how many checks may go there for that
}

// put adds packets for the reader, all of the size but the last, which may be smaller. Those that are not well-formed
// are left out.
func (c *muxConn) put(b []byte, size int, from *net.UDPAddr) {
	count, bytes := 0, 0 // of packets of DTLS
	c.mu.Lock()
	empty := c.last == nil
	for len(b) > 0 && !c.closed && c.waiting+min(size, len(b)) <= maxWaiting {
		one := b[:min(size, len(b))]
		if wellFormed(one, false) && c.meter.passes(one) {
			c.add(one, from)
			if !isSTUN(one) {
				count, bytes = count+1, bytes+len(one)
			}
		}
		b = b[len(one):]
	}
	come := empty && c.last != nil
	c.mu.Unlock()
	c.meter.came(count, bytes)
	if come {
		c.signal()
	}
}

// add adds a packet; c.mu is held.
func (c *muxConn) add(b []byte, from *net.UDPAddr) {
	p := packets.Get().(*packet)
	p.b, p.from = append(p.b[:0], b...), from
	if c.last == nil {
		c.first = p
	} else {
		c.last.next = p
	}
	c.last = p
	c.waiting += len(b)
}

func (c *muxConn) signal() {
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// maxTurn is how many packets one connection's reader takes before others have their turn. What it takes is computed at once;
// a peer may put 60 chunks into a packet, and this process has one processor, which a goroutine keeps for up to 10 ms.
const maxTurn = 8

// ReadFrom returns the next packet.
func (c *muxConn) ReadFrom(b []byte) (int, net.Addr, error) {
	if c.run++; c.run > maxTurn {
		c.run = 0
		runtime.Gosched()
	}
	for {
		c.mu.Lock()
		p := c.first
		if p != nil {
			if c.first = p.next; c.first == nil {
				c.last = nil
			}
			c.waiting -= len(p.b)
		}
		closed := c.closed
		c.mu.Unlock()
		if p != nil {
			n, from := copy(b, p.b), p.from
			p.from, p.next = nil, nil
			if cap(p.b) == smallPacket {
				packets.Put(p)
			}
			return n, from, nil
		}
		if closed {
			return 0, nil, net.ErrClosed
		}
		c.run = 0
		<-c.arrived
	}
}

// WriteTo sends a packet, if it may be sent there.
func (c *muxConn) WriteTo(b []byte, to net.Addr) (int, error) { return c.write(b, to, true) }

func (c *muxConn) write(b []byte, to net.Addr, reads bool) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, errors.New("not a UDP address")
	}
	key := routeKey(udp)
	asked := isSTUN(b)
	if !asked {
		c.meter.sent(len(b))
	}
	if asked || !c.mux.owned(key, c) {
		send, err := c.mux.leaves(b, key, udp, c, reads)
		if err != nil {
			return 0, err
		}
		if !send {
			return len(b), nil // as if the network had lost it
		}
	}
	if o := c.mux.out; o != nil {
		if len(b) <= shortPacket {
			hesitate()
		}
		if err := o.put(b, key, c); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return c.mux.raw.WriteToUDPAddrPort(b, key)
}

// Close ends the connection's use of the socket.
func (c *muxConn) Close() error {
	c.mux.mu.Lock()
	if c.mux.byName[c.name] == c {
		delete(c.mux.byName, c.name)
	}
	for _, key := range c.addresses {
		c.mux.leave(key, c)
	}
	for _, id := range c.asked {
		delete(c.mux.asked, id)
	}
	c.addresses, c.asked = nil, nil
	c.mux.mu.Unlock()
	c.mu.Lock()
	c.closed = true
	c.first, c.last, c.waiting = nil, nil, 0
	c.mu.Unlock()
	c.signal()
	return nil
}

// LocalAddr is the socket's.
func (c *muxConn) LocalAddr() net.Addr { return c.mux.raw.LocalAddr() }

// Deadlines are not kept: the library ends a reader by Close.
func (c *muxConn) SetDeadline(time.Time) error      { return nil }
func (c *muxConn) SetReadDeadline(time.Time) error  { return nil }
func (c *muxConn) SetWriteDeadline(time.Time) error { return nil }

// sender is a further address of a connection: it only sends, and has no reader that would cost memory.
type sender struct{ *muxConn }

// WriteTo leaves out checks of an address where nobody has answered yet: they would be what the one that reads sends.
func (c sender) WriteTo(b []byte, to net.Addr) (int, error) { return c.write(b, to, false) }

// ReadFrom has nothing, so that the library does not ask again.
func (sender) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, net.ErrClosed }

// Close leaves the connection to the one that reads.
func (sender) Close() error { return nil }
