//go:build !linux

package udp

import (
	"net"
	"time"
)

// Reader reads a socket. One goroutine at a time may use it, but for Close.
type Reader struct {
	socket          *net.UDPConn
	buffer, control []byte
}

// NewReader reads the socket from now on; nobody else may. The limit counts on Linux alone.
func NewReader(socket *net.UDPConn, _ time.Duration) (*Reader, error) {
	return &Reader{socket: socket, buffer: make([]byte, largest), control: make([]byte, controlRoom)}, nil
}

// Close does not close the socket.
func (r *Reader) Close() {}

// Read waits for a packet. The error is the socket's.
func (r *Reader) Read() (Burst, error) {
	n, c, _, from, err := r.socket.ReadMsgUDPAddrPort(r.buffer, r.control)
	return Burst{Packets: r.buffer[:n], Size: max(n, 1), Control: r.control[:c], From: from}, err
}
