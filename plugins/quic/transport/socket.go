package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

// What the connections are tuned to. A peer is noticed dead after keepAlive + silence at most.
const (
	keepAlive       = 3 * time.Second
	silence         = 10 * time.Second
	dialTimeout     = 8 * time.Second // without any answer: NATs may open late
	knockTimeout    = 4 * time.Second // without the next packet: dials that lost end silently
	socketBuffer    = 8 << 20
	streamWindow    = 1 << 20 // to begin with
	streamWindowMax = 8 << 20
	linkWindow      = streamWindow * 3 / 2
	linkWindowMax   = 16 << 20
	connectionID    = 8 // bytes

	// Incoming connections without a match yet, and their rate from which on addresses are validated first.
	maxUnmatched = 1024
	verifyRate   = 64
	verifyBurst  = 256
	matchTimeout = 5 * time.Second
)

// Application error codes of a closed connection. 0 is a channel's regular end.
const (
	codeClosed     quic.ApplicationErrorCode = 0
	codeSuperseded quic.ApplicationErrorCode = 1 // another connection of the set-up was first
	codeUnknown    quic.ApplicationErrorCode = 2 // no set-up waits for it
	codeAbandoned  quic.ApplicationErrorCode = 3 // the set-up was given up
	codeBroken     quic.ApplicationErrorCode = 4 // what came on the stream breaks the protocol
)

// errCrowded and errStranger are why a connection is refused before its handshake; quic-go only logs them.
var (
	errCrowded  = errors.New("too many connections wait for their match")
	errStranger = errors.New("no set-up waits for a connection")
)

// connectionConfig is for one direction: how long its handshake may hang, and how many streams the peer may open.
func connectionConfig(handshake time.Duration, streams int64) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           handshake,
		MaxIdleTimeout:                 silence,
		KeepAlivePeriod:                keepAlive,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         streamWindowMax,
		InitialConnectionReceiveWindow: linkWindow,
		MaxConnectionReceiveWindow:     linkWindowMax,
		MaxIncomingStreams:             streams,
		MaxIncomingUniStreams:          -1,
	}
}

// open opens the socket and everything on it. Nothing is left behind where it fails.
func (t *Transport) open() error {
	socket, err := net.ListenUDP(t.set.network, t.set.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("quic: UDP port %d is taken by another program: choose another in the option \"listen\", or 0 for any: %w", t.set.listen.Port, err)
	}
	if err != nil {
		return fmt.Errorf("quic: open the UDP socket: %w", err)
	}
	// Both are best effort: quic-go asks for 7 MiB with more force where it may.
	_ = socket.SetReadBuffer(socketBuffer)
	_ = socket.SetWriteBuffer(socketBuffer)

	conn, err := inBursts(socket, t.gate)
	if err != nil {
		return errors.Join(fmt.Errorf("quic: read the UDP socket: %w", err), socket.Close())
	}
	limiter := rate.NewLimiter(verifyRate, verifyBurst)
	q := &quic.Transport{
		Conn:                conn,
		ConnectionIDLength:  connectionID,
		VerifySourceAddress: func(net.Addr) bool { return !limiter.Allow() },
		ConnContext:         t.admit,
	}
	local := socket.LocalAddr().(*net.UDPAddr).AddrPort()
	t.socket, t.quic, t.local = conn, q, netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	if t.listener, err = q.Listen(t.serverTLS(), connectionConfig(knockTimeout, 1)); err != nil {
		_ = q.Close()
		_ = conn.Close()
		return fmt.Errorf("quic: listen on the UDP socket: %w", err)
	}
	return nil
}

// admit decides on a connection before anything is spent on its handshake. ctx ends with the connection.
func (t *Transport) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.welcome) == 0 {
		return nil, errStranger
	}
	if t.incoming-t.matched >= maxUnmatched {
		return nil, errCrowded
	}
	t.incoming++
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		t.incoming--
		t.mu.Unlock()
	})
	return ctx, nil
}

// expects says whether a set-up of this side waits for a peer with the certificate.
func (t *Transport) expects(h hash) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.welcome[h] > 0
}
