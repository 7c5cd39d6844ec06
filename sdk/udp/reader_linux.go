package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/protofly/protofly/internal/busypoll"
)

// Reader reads a socket. One goroutine at a time may use it, but for Close.
type Reader struct {
	socket  *net.UDPConn
	waiter  *busypoll.Waiter
	try     func(fd uintptr) bool // made once
	buffer  []byte
	control []byte
	last    received
}

// received is the result of a read.
type received struct {
	packets, control, flags int
	from                    unix.Sockaddr
	err                     error
}

// NewReader reads the socket from now on; nobody else may. limit is the longest time for which it looks for packets before
// it sleeps; 0: it sleeps at once. The caller closes it with the socket.
func NewReader(socket *net.UDPConn, limit time.Duration) (*Reader, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	// A kernel without this option gives one packet a read.
	if err := raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) }); err != nil {
		return nil, err
	}
	waiter, err := busypoll.For(socket, limit)
	if err != nil {
		return nil, err
	}
	r := &Reader{socket: socket, waiter: waiter, buffer: make([]byte, largest), control: make([]byte, controlRoom)}
	r.try = r.receive
	return r, nil
}

// Close ends the Reader: other Readers of this process do not look for its packets any more. It does not close the socket.
func (r *Reader) Close() { r.waiter.Close() }

// Read waits for packets. The error is the socket's. One that was caused by a packet that was sent
// before does not mean that the socket has ended.
func (r *Reader) Read() (Burst, error) {
	for {
		if err := r.waiter.Read(r.try); err != nil {
			return Burst{}, err
		}
		l := &r.last
		if l.err != nil {
			return Burst{}, &net.OpError{Op: "read", Net: "udp", Source: r.socket.LocalAddr(), Err: os.NewSyscallError("recvmsg", l.err)}
		}
		if l.flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			continue // it is not known where its packets end: drop it
		}
		busypoll.Carried(l.packets)
		b := burst(r.buffer[:l.packets], r.control[:l.control])
		b.From = address(l.from)
		return b, nil
	}
}

// receive reads what there is.
func (r *Reader) receive(fd uintptr) (done bool) {
	l := &r.last
	for {
		if l.packets, l.control, l.flags, l.from, l.err = unix.Recvmsg(int(fd), r.buffer, r.control, 0); l.err != unix.EINTR {
			return l.err != unix.EAGAIN
		}
	}
}

// burst finds out how long each packet is: the kernel says so, in a control message, only where there are several. It removes
// that message from control.
func burst(packets, control []byte) Burst {
	b := Burst{Packets: packets, Size: max(len(packets), 1), Control: control[:0]}
	for len(control) > 0 {
		header, body, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		whole := control[:len(control)-len(rest)]
		control = rest
		if header.Level != unix.IPPROTO_UDP || header.Type != unix.UDP_GRO {
			b.Control = append(b.Control, whole...)
		} else if len(body) >= 4 {
			b.Size = max(int(int32(binary.NativeEndian.Uint32(body))), 1)
		}
	}
	return b
}

func address(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr)
		if a.ZoneId != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(a.ZoneId), 10))
		}
		return netip.AddrPortFrom(ip, uint16(a.Port))
	}
	return netip.AddrPort{}
}
