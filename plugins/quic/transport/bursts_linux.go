package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// largestBurst is what the kernel gives at most in one read: as much as a UDP packet's length can say.
const largestBurst = 1<<16 - 1

// bursts is a socket of which the kernel gives the packets of one peer that came together in one read (generic receive
// offload): over a fast network a read for each packet costs as much as all that quic-go does with it. quic-go sends in
// bursts by itself, and reads with ReadBatch where a socket has it.
type bursts struct {
	*net.UDPConn
	buffer  []byte
	control []byte
	burst   burst // what was read and not asked for yet
	from    *net.UDPAddr
	last    netip.AddrPort // from
}

// inBursts has the kernel do so, if it can; else the socket is left as it is.
func inBursts(socket *net.UDPConn) net.PacketConn {
	raw, err := socket.SyscallConn()
	if err != nil {
		return socket
	}
	var refused error
	err = raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	if err != nil || refused != nil {
		return socket
	}
	return &bursts{UDPConn: socket, buffer: make([]byte, largestBurst), control: make([]byte, 256)}
}

// ReadBatch gives each packet a message of its own, and reads only where nothing is left of the last burst. As quic-go does,
// it must be called by one goroutine.
func (b *bursts) ReadBatch(messages []ipv4.Message, _ int) (int, error) {
	for len(b.burst.packets) == 0 {
		n, c, flags, from, err := b.ReadMsgUDPAddrPort(b.buffer, b.control)
		if err != nil {
			return 0, err
		}
		if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			continue // whose packets end where is not known: as if it had been lost
		}
		if from != b.last || b.from == nil {
			b.last, b.from = from, net.UDPAddrFromAddrPort(from)
		}
		b.burst = newBurst(b.buffer[:n], b.control[:c])
	}
	n := 0
	for n < len(messages) && len(b.burst.packets) > 0 {
		m := &messages[n]
		m.N = copy(m.Buffers[0], b.burst.next()) // what is too long for quic-go is none of its packets
		m.NN = copy(m.OOB, b.burst.control)
		m.Addr, m.Flags = b.from, 0
		n++
	}
	return n, nil
}

// WriteMsgUDP is the socket's, without an allocation for the address.
func (b *bursts) WriteMsgUDP(packet, control []byte, to *net.UDPAddr) (n, oobn int, err error) {
	return b.WriteMsgUDPAddrPort(packet, control, to.AddrPort())
}

// burst is what one read gave: packets of one length each, of which the last may be shorter, and what the kernel says of
// all of them.
type burst struct {
	packets []byte
	length  int
	control []byte
}

// newBurst finds out how long each packet is. The kernel says so only where there are several. That is taken out of
// control, which is changed.
func newBurst(packets, control []byte) burst {
	b := burst{packets: packets, length: max(len(packets), 1), control: control[:0]}
	for len(control) > 0 {
		header, body, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		whole := control[:len(control)-len(rest)]
		control = rest
		if header.Level != unix.IPPROTO_UDP || header.Type != unix.UDP_GRO {
			b.control = append(b.control, whole...)
		} else if len(body) >= 4 {
			b.length = max(int(binary.NativeEndian.Uint32(body)), 1)
		}
	}
	return b
}

// next takes the next packet.
func (b *burst) next() []byte {
	n := min(b.length, len(b.packets))
	packet := b.packets[:n]
	b.packets = b.packets[n:]
	return packet
}

var _ interface {
	net.PacketConn
	SyscallConn() (syscall.RawConn, error)
	ReadBatch(messages []ipv4.Message, flags int) (int, error)
} = (*bursts)(nil)
