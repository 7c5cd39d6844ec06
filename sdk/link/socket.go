package link

import (
	"errors"
	"net"
	"os"
	"time"
)

// SocketVariable is the environment variable that tells a plug-in the number of a file descriptor: its end of a Unix
// stream socket that only the host has the other end of. It carries the link's frames at a fraction of gRPC's cost; see
// PROTOCOL.md, "The socket".
const SocketVariable = "PROTOFLY_LINK_SOCKET"

// Socket is one end of such a socket.
type Socket struct {
	conn *net.UnixConn
	try  func(b []byte) (int, error)
}

// NewSocket takes over conn.
func NewSocket(conn *net.UnixConn) (*Socket, error) {
	try, err := writeNow(conn)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(socketBuffer) // as far as the system lets
	_ = conn.SetWriteBuffer(socketBuffer)
	return &Socket{conn: conn, try: try}, nil
}

// socketOf takes over an open file.
func socketOf(f *os.File) (*Socket, error) {
	defer func() { _ = f.Close() }()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("it is no Unix socket")
	}
	return NewSocket(u)
}

// Close ends the socket.
func (s *Socket) Close() error { return s.conn.Close() }

// Drain has the socket end a little later: what the other side has written before it ended can still be read.
func (s *Socket) Drain(d time.Duration) { _ = s.conn.SetReadDeadline(time.Now().Add(d)) }

// socketBuffer is what the kernel may keep of what was written and not read.
const socketBuffer = 1 << 20
