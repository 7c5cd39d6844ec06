package streams

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// accept runs until the listener is closed.
func (t *Transport) accept() {
	for {
		conn, err := t.network.Listener.Accept()
		if err != nil {
			if t.ctx.Err() != nil {
				return
			}
			t.network.Log.Warn("accepting a connection", "error", err)
			select { // out of files, most likely: it passes
			case <-time.After(100 * time.Millisecond):
			case <-t.ctx.Done():
			}
			continue
		}
		leave, ok := t.admit(conn)
		if !ok {
			_ = conn.Close()
			continue
		}
		t.work.Go(func() {
			defer leave()
			t.match(conn, leave)
		})
	}
}

// admit gives a connection a place until leave is called, which may be called again. One host has few places, so that it cannot
// keep others out.
func (t *Transport) admit(conn net.Conn) (leave func(), ok bool) {
	at, _ := conn.RemoteAddr().(*net.TCPAddr)
	if at == nil {
		return nil, false
	}
	host := reach.Host(at.AddrPort().Addr())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unknowns >= maxUnknown || t.unknown[host] >= maxOfHost {
		return nil, false
	}
	t.unknowns++
	t.unknown[host]++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.unknowns--
		if t.unknown[host]--; t.unknown[host] == 0 {
			delete(t.unknown, host)
		}
	}), true
}

// match finds the set-up that an incoming connection is for, checks its certificate, and waits until the peer has chosen this
// connection among those that it has tried. It calls named when the connection has named one.
func (t *Transport) match(raw net.Conn, named func()) {
	ctx, cancel := context.WithTimeout(t.ctx, handshakeTime)
	defer cancel()
	late := time.AfterFunc(helloTime, func() { _ = raw.Close() })
	defer late.Stop()
	var found *awaited
	conn := tls.Server(raw, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		late.Stop()
		if found = t.find(hello.ServerName); found == nil {
			return nil, errors.New("nobody awaits this connection")
		}
		named()
		return t.tlsConfig(found.hash), nil
	}})
	err := conn.HandshakeContext(ctx)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
		_, err = conn.Read(make([]byte, 1))
		if !stop() && err == nil {
			err = ctx.Err()
		}
	}
	if err != nil || !found.take(t, conn) {
		t.network.Log.Debug("refused a connection", "from", raw.RemoteAddr().String(), "error", err)
		_ = raw.Close()
	}
}

// find is the set-up of that name, where it waits for a connection and few have named it.
func (t *Transport) find(name string) *awaited {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.awaited[name]
	if a == nil || a.tried == maxNamed {
		return nil
	}
	a.tried++
	return a
}

// awaited is one set-up of a Handler.
type awaited struct {
	name, hash string
	box        chan *tls.Conn // holds one
	tried      int            // connections that have named it; guarded by transport.mu
}

// take gives the set-up its connection; it returns false if the set-up has one or is over.
func (a *awaited) take(t *Transport, conn *tls.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.awaited[a.name] != a {
		return false
	}
	delete(t.awaited, a.name)
	a.box <- conn
	return true
}
