package transport

import (
	"net"
	"syscall"

	"golang.org/x/net/ipv4"

	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/sdk/udp"
)

// bursts is quic-go's socket. It reads with a [udp.Reader], several packets at once, and writes only what its gate allows. quic-go
// writes several packets at once by itself, and reads with ReadBatch where the system has it.
type bursts struct {
	*net.UDPConn
	gate   *gate
	reader *udp.Reader
	burst  udp.Burst    // packets that were read and not returned yet
	from   *net.UDPAddr // their sender
}

// inBursts makes a bursts of the socket.
func inBursts(socket *net.UDPConn, g *gate) (net.PacketConn, error) {
	reader, err := udp.NewReader(socket, busypoll.Inherited())
	if err != nil {
		return nil, err
	}
	return &bursts{UDPConn: socket, gate: g, reader: reader, from: &net.UDPAddr{}}, nil
}

// ReadBatch returns one packet for each message. It reads from the socket only if no packet of the last burst is left. Only one
// goroutine may call it, as quic-go does.
func (b *bursts) ReadBatch(messages []ipv4.Message, _ int) (int, error) {
	for len(b.burst.Packets) == 0 {
		last := b.burst.From
		var err error
		if b.burst, err = b.reader.Read(); err != nil {
			return 0, err
		}
		b.gate.heard(len(b.burst.Packets), b.burst.From)
		if b.burst.From != last {
			b.from = net.UDPAddrFromAddrPort(b.burst.From)
		}
	}
	n := 0
	for n < len(messages) && len(b.burst.Packets) > 0 {
		m := &messages[n]
		m.N = copy(m.Buffers[0], b.burst.Next()) // a packet that is too long for the buffer is not QUIC's
		m.NN = copy(m.OOB, b.burst.Control)
		m.Addr, m.Flags = b.from, 0
		n++
	}
	return n, nil
}

// WriteMsgUDP writes a packet without allocating its address. A packet that the gate does not allow is dropped, as if it was lost
// in the network.
func (b *bursts) WriteMsgUDP(packet, control []byte, to *net.UDPAddr) (n, oobn int, err error) {
	at := to.AddrPort()
	if !b.gate.lets(packet, at) {
		return len(packet), len(control), nil
	}
	busypoll.Carried(len(packet))
	return b.WriteMsgUDPAddrPort(packet, control, at)
}

// WriteTo is used by quic-go on systems without control messages.
func (b *bursts) WriteTo(packet []byte, to net.Addr) (int, error) {
	if u, ok := to.(*net.UDPAddr); ok && !b.gate.lets(packet, u.AddrPort()) {
		return len(packet), nil
	}
	return b.UDPConn.WriteTo(packet, to)
}

// ReadFrom is used by quic-go on systems without control messages.
func (b *bursts) ReadFrom(packet []byte) (int, net.Addr, error) {
	n, from, err := b.UDPConn.ReadFromUDPAddrPort(packet)
	if err != nil {
		return n, nil, err
	}
	b.gate.heard(n, from)
	return n, net.UDPAddrFromAddrPort(from), nil
}

// Close closes the socket.
func (b *bursts) Close() error {
	b.reader.Close()
	return b.UDPConn.Close()
}

var _ interface {
	net.PacketConn
	SyscallConn() (syscall.RawConn, error)
	ReadBatch(messages []ipv4.Message, flags int) (int, error)
} = (*bursts)(nil)
