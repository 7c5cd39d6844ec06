package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// control calls do with the socket's descriptor.
func control(socket *net.UDPConn, do func(fd int) error) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// sendsMany tells whether the system can send several packets with one call (UDP_SEGMENT, Linux 4.18). An older kernel would send
// them as one large packet.
func sendsMany(socket *net.UDPConn) bool {
	return control(socket, func(fd int) error {
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		return err
	}) == nil
}

// askSize is the size of askFor's control message.
var askSize = unix.CmsgSpace(4)

// askFor writes into room the control message with the packets' size.
func askFor(room []byte, size int) []byte {
	room = room[:unix.CmsgSpace(2)]
	clear(room)
	header(room, unix.UDP_SEGMENT, unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(room[unix.CmsgLen(0):], uint16(size))
	return room
}

// header writes the header of a control message: its length (a machine word), level and type.
func header(room []byte, kind, length int) {
	binary.NativeEndian.PutUint32(room[unix.SizeofCmsghdr-8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(room[unix.SizeofCmsghdr-4:], uint32(kind))
	if unix.SizeofCmsghdr == 16 {
		binary.NativeEndian.PutUint64(room, uint64(length))
	} else {
		binary.NativeEndian.PutUint32(room, uint32(length))
	}
}

// oneByOne tells whether err says that the path cannot take several packets at once, but may take them one by one: the device
// does not compute checksums, or the path has a smaller packet size.
func oneByOne(err error) bool {
	for _, e := range []error{syscall.EIO, syscall.EINVAL, syscall.EMSGSIZE, syscall.EOPNOTSUPP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
