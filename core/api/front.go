package api

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	wire "github.com/protofly/protofly/internal/apiwire"

	"github.com/protofly/protofly/internal/backoff"
)

// front takes the connections of the socket. Those of applications it has served by the server; the others are gRPC's,
// for which it is the listener.
type front struct {
	net.Listener // the socket
	shared       *shared
	rpc          chan net.Conn
	once         sync.Once
	closed       chan struct{}
	work         sync.WaitGroup
}

func newFront(s *shared, l net.Listener) *front {
	f := &front{Listener: l, shared: s, rpc: make(chan net.Conn), closed: make(chan struct{})}
	f.work.Go(f.take)
	return f
}

// take accepts until the front is closed.
func (f *front) take() {
	pauses := backoff.Backoff{Min: 5 * time.Millisecond, Max: time.Second}
	for {
		conn, err := f.Listener.Accept()
		if err == nil {
			pauses.Reset()
			f.work.Go(func() { f.sort(conn) })
			continue
		}
		select {
		case <-f.closed:
			return
		default:
		}
		// As when no more files may be open: that passes.
		f.shared.log.Warn("connection to the application API not accepted", "error", err)
		select {
		case <-time.After(pauses.Next()):
		case <-f.closed:
			return
		}
	}
}

// sort finds out whose a connection is.
func (f *front) sort(conn net.Conn) {
	stop := context.AfterFunc(f.shared.ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetReadDeadline(time.Now().Add(helloTime))
	begun := make([]byte, 0, len(wire.Preamble))
	for len(begun) < len(wire.Preamble) && string(begun) == wire.Preamble[:len(begun)] {
		n, err := conn.Read(begun[len(begun):cap(begun)])
		if begun = begun[:len(begun)+n]; err != nil {
			_ = conn.Close()
			return
		}
	}
	_ = conn.SetReadDeadline(time.Time{})
	if string(begun) == wire.Preamble {
		f.shared.application(conn)
		return
	}
	select {
	case f.rpc <- &resumed{Conn: conn, begun: begun}:
	case <-f.closed:
		_ = conn.Close()
	}
}

// Accept waits for the next connection that is gRPC's.
func (f *front) Accept() (net.Conn, error) {
	select {
	case conn := <-f.rpc:
		return conn, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close closes the socket.
func (f *front) Close() error {
	f.once.Do(func() { close(f.closed) })
	if err := f.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// resumed is a connection of which something was read already.
type resumed struct {
	net.Conn
	begun []byte
}

// Read reads what was read first.
func (c *resumed) Read(b []byte) (int, error) {
	if len(c.begun) > 0 {
		n := copy(b, c.begun)
		c.begun = c.begun[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}
