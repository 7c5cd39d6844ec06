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
	largestPacket = 8 << 10 // bytes of the largest packet that the library reads
	smallPacket   = 1500    // bytes in which nearly all packets fit
	maxAddresses  = 64      // addresses of a peer that packets are sent to at one time
	maxStrange    = 256     // addresses of a peer in all whose packets came before any was sent there
)

// mux shares the one socket between the connections. The library's own mux gives a packet to any of the connection's readers, of
// which it has one for each address of the machine. So every other answer seems to come to an address that has sent no request,
// and it takes several times 200 ms to agree on a path, if that succeeds.
// Here one of a connection's readers, for each kind of address, gets all packets; the others only send. Nothing is lost
// by that, since the socket is the same, and the system chooses the address that a packet is sent from.
//
// Peers name the addresses that packets are sent to, and may name each other's. routes.go says which connection a packet belongs
// to, and what may be sent to addresses that have not answered.
type mux struct {
	raw    *net.UDPConn
	source *udp.Reader
	out    *outbox // sends in batches; nil: the system cannot
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

// lockedMux is a mux whose mu is locked: methods that need that are methods of it.
type lockedMux mux

func (x *mux) locked() *lockedMux { return (*lockedMux)(x) }

// muxName is the name of a connection in the packets for it.
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

// GetConn returns a connection's part of the socket for one of the addresses. The first one for a kind of address
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

// Close closes the part of every connection, and the socket.
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

// offered tells whether the address is offered to peers. IPv6 addresses that need a zone are not; of the loopback addresses only
// 127.0.0.1 is.
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

// packet is a packet that waits for its reader.
type packet struct {
	b    []byte
	from *net.UDPAddr
	next *packet
}

// packets is a pool of packets of the usual size. It does not use internal/buffers, since a packet is an entry of a list, with
// its memory.
var packets = sync.Pool{New: func() any { return &packet{b: make([]byte, 0, smallPacket)} }}

// maxWaiting bounds the packets that wait for one connection's reader, in bytes. The library reads packets at once, so that only a
// peer that ignores its window causes more. Further packets are dropped, as a network does.
const maxWaiting = 4 << 20

// muxConn is a connection's part of the socket.
type muxConn struct {
	mux     *mux
	name    muxName
	peer    string
	meter   *meter
	arrived chan struct{} // holds a token when packets wait, or c is closed
	single  atomic.Bool   // the path to the peer takes packets only one by one

	mu          sync.Mutex
	first, last *packet
	waiting     int // bytes
	closed      bool
	run         int // packets that the reader has taken without a pause; used by the reader alone

	// guarded by mux.mu
	addresses []netip.AddrPort // addresses in routes that it has sent to, the oldest first
	strange   int              // number of addresses whose packets came before any was sent there
	asked     []transaction    // its transactions in mux.asked, the oldest first
	creditAt  netip.AddrPort   // the address that requests have come from
	credit    int              // how many checks may be sent there for these requests
}

// put adds packets for the reader, all of the same size but the last, which may be smaller. It drops those that are not
// well-formed.
func (c *muxConn) put(b []byte, size int, from *net.UDPAddr) {
	count, bytes := 0, 0 // of DTLS packets
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

// maxTurn is how many packets one connection's reader takes before it yields. The library processes each packet at once, a peer may
// put 60 chunks into a packet, and this process has one processor, which a goroutine keeps for up to 10 ms.
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
			return len(b), nil // dropped, as if the network had lost it
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
		c.mux.locked().leave(key, c)
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

// LocalAddr returns the socket's address.
func (c *muxConn) LocalAddr() net.Addr { return c.mux.raw.LocalAddr() }

// Deadlines are ignored: the library ends a reader with Close.
func (c *muxConn) SetDeadline(time.Time) error      { return nil }
func (c *muxConn) SetReadDeadline(time.Time) error  { return nil }
func (c *muxConn) SetWriteDeadline(time.Time) error { return nil }

// sender is the part of a connection for a further address. It only sends, so that there is no reader that takes memory.
type sender struct{ *muxConn }

// WriteTo drops checks of an address that has not answered yet, since the part that reads sends the same.
func (c sender) WriteTo(b []byte, to net.Addr) (int, error) { return c.write(b, to, false) }

// ReadFrom returns an error, so that the library ends this reader.
func (sender) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, net.ErrClosed }

// Close does nothing: the part that reads is closed.
func (sender) Close() error { return nil }
