package transport

import (
	"encoding/binary"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/protofly/protofly/sdk/poll"
)

// largestBurst is what the kernel gives at most in one read: as much as a UDP packet's length can say.
const largestBurst = 1<<16 - 1

// bursts is a socket of which the kernel gives the packets of one peer that came together in one read (generic receive
// offload): over a fast network a read for each packet costs as much as all that quic-go does with it. quic-go sends in
// bursts by itself, and reads with ReadBatch where a socket has it.
type bursts struct {
	*net.UDPConn
	waiter  *poll.Waiter
	try     func(fd uintptr) bool // made once
	buffer  []byte
	control []byte
	last    received
	burst   burst        // what was read and not asked for yet
	from    *net.UDPAddr // its sender
}

// received is what a read gave.
type received struct {
	packets, control, flags int
	from                    unix.Sockaddr
	err                     error
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
	waiter, err := poll.For(socket, poll.Inherited())
	if err != nil {
		return socket
	}
	b := &bursts{UDPConn: socket, waiter: waiter, buffer: make([]byte, largestBurst), control: make([]byte, 256)}
	b.try = b.read
	return b
}

// ReadBatch gives each packet a message of its own, and reads only where nothing is left of the last burst. As quic-go does,
// it must be called by one goroutine.
func (b *bursts) ReadBatch(messages []ipv4.Message, _ int) (int, error) {
	for len(b.burst.packets) == 0 {
		if err := b.waiter.Read(b.try); err != nil {
			return 0, err
		}
		if b.last.err != nil {
			return 0, &net.OpError{Op: "read", Net: "udp", Source: b.LocalAddr(), Err: os.NewSyscallError("recvmsg", b.last.err)}
		}
		if b.last.flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			continue // whose packets end where is not known: as if it had been lost
		}
		poll.Carried(b.last.packets)
		b.from = address(b.last.from)
		b.burst = newBurst(b.buffer[:b.last.packets], b.control[:b.last.control])
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

// read reads a burst, if there is one.
func (b *bursts) read(fd uintptr) (done bool) {
	r := &b.last
	for {
		if r.packets, r.control, r.flags, r.from, r.err = unix.Recvmsg(int(fd), b.buffer, b.control, 0); r.err != unix.EINTR {
			return r.err != unix.EAGAIN
		}
	}
}

// Close closes the socket.
func (b *bursts) Close() error {
	b.waiter.Close()
	return b.UDPConn.Close()
}

// address is a socket's address as quic-go wants it.
func address(a unix.Sockaddr) *net.UDPAddr {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return &net.UDPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		u := &net.UDPAddr{IP: a.Addr[:], Port: a.Port}
		if a.ZoneId != 0 {
			u.Zone = strconv.FormatUint(uint64(a.ZoneId), 10)
		}
		return u
	}
	return &net.UDPAddr{}
}

// WriteMsgUDP is the socket's, without an allocation for the address.
func (b *bursts) WriteMsgUDP(packet, control []byte, to *net.UDPAddr) (n, oobn int, err error) {
	poll.Carried(len(packet))
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
