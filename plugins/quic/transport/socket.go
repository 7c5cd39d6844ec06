package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

// Settings of the connections.
const (
	dialTimeout     = 8 * time.Second         // without any answer; NATs may open late
	knockTimeout    = 4 * time.Second         // without the next packet of an incoming handshake; given-up dials send no end
	crowdTimeout    = 1500 * time.Millisecond // the same with many strangers; a handshake takes twice that at most
	socketBuffer    = 8 << 20
	streamWindow    = 1 << 20 // to begin with
	streamWindowMax = 4 << 20
	linkWindow      = streamWindow * 3 / 2
	linkWindowMax   = 6 << 20
	connectionID    = 8 // bytes

	// With a higher rate of incoming connections addresses are validated first.
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
	codeMemory     quic.ApplicationErrorCode = 5 // unread data takes too much memory
)

// errStranger is why a connection is refused before its handshake; quic-go only logs it.
var errStranger = errors.New("no set-up waits for the connection")

// liveness has the times by which a connection notices that its peer is dead: after keepAlive + silence at most.
type liveness struct{ keepAlive, silence time.Duration }

func usualLiveness() liveness { return liveness{keepAlive: 3 * time.Second, silence: 10 * time.Second} }

// connectionConfig is the configuration of outgoing or incoming connections. handshake is the longest time without a packet during
// the handshake, streams is how many streams the peer may open.
func (l liveness) connectionConfig(handshake time.Duration, streams int64) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           handshake,
		MaxIdleTimeout:                 l.silence,
		KeepAlivePeriod:                l.keepAlive,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         streamWindowMax,
		InitialConnectionReceiveWindow: linkWindow,
		MaxConnectionReceiveWindow:     linkWindowMax,
		MaxIncomingStreams:             streams,
		MaxIncomingUniStreams:          -1,
	}
}

// open opens the socket and everything on it. If it fails it leaves nothing behind.
func (t *Transport) open() error {
	socket, err := net.ListenUDP(t.set.network, t.set.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("quic: UDP port %d is taken by another program: choose another in the option \"listen\", or 0 for any: %w", t.set.listen.Port, err)
	}
	if err != nil {
		return fmt.Errorf("quic: open the UDP socket: %w", err)
	}
	// Errors are ignored: quic-go asks for 7 MiB too, with privileges if it has them.
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
		VerifySourceAddress: func(from net.Addr) bool { return !limiter.Allow() || t.doubts(from) },
		ConnContext:         t.admit,
	}
	local := socket.LocalAddr().(*net.UDPAddr).AddrPort()
	t.socket, t.quic, t.local = conn, q, netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	if t.listener, err = q.Listen(t.serverTLS(), t.listenerConfig()); err != nil {
		_ = q.Close()
		_ = conn.Close()
		return fmt.Errorf("quic: listen on the UDP socket: %w", err)
	}
	return nil
}

// listenerConfig is the configuration of incoming connections. With many strangers, their handshakes have less time.
func (t *Transport) listenerConfig() *quic.Config {
	usual, hurried := t.alive.connectionConfig(knockTimeout, 1), t.alive.connectionConfig(crowdTimeout, 1)
	config := t.alive.connectionConfig(knockTimeout, 1)
	config.GetConfigForClient = func(from *quic.ClientInfo) (*quic.Config, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.admission.patient(ipOf(from.RemoteAddr)) {
			return usual, nil
		}
		return hurried, nil
	}
	return config
}

// doubts tells whether the address of a new connection has to be validated first.
func (t *Transport) doubts(from net.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.admission.retry(ipOf(from))
}

// placeKey is the key of a connection's *place in its context.
type placeKey struct{}

// admit admits or refuses a connection before its handshake. ctx ends with the connection.
func (t *Transport) admit(ctx context.Context, from *quic.ClientInfo) (context.Context, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.welcome) == 0 {
		return nil, errStranger
	}
	p, err := t.admission.admit(ipOf(from.RemoteAddr))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { t.leave(p) })
	return context.WithValue(ctx, placeKey{}, p), nil
}

// leave gives the place of a connection back: it has ended, or was assigned to a set-up.
func (t *Transport) leave(p *place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.admission.leave(p)
}

// greet checks the ClientHello before any cryptography: it has to name a waiting set-up.
func (t *Transport) greet(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, _ := hello.Context().Value(placeKey{}).(*place)
	if len(hello.SupportedProtos) > maxProtocols || p == nil {
		return nil, errStranger
	}
	for _, name := range hello.SupportedProtos {
		if setup, ok := t.knocks[name]; ok {
			return nil, t.admission.known(p, setup)
		}
	}
	return nil, errStranger
}

func ipOf(a net.Addr) netip.Addr {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// expects tells whether a set-up of this side waits for a peer with the certificate.
func (t *Transport) expects(h hash) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.welcome[h] > 0
}
