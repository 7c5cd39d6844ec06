// Package streams is a whole p2p.Transport for networks that listen and dial: their author says how, and where the listener can
// be reached. examples/transport-tcp is TCP in one file.
//
// The channel is TLS 1.3 on the network's connections. Each side makes a certificate when it starts and sends its hash in the
// signalling; both take the other side's certificate and no other. The Handler listens, in one place for all its peers, and
// gives each set-up a random name; the Requester dials the addresses that it gets, in parallel, asks for that name (as TLS
// server name) and keeps the first connection that the Handler confirms. Frames are those of [p2p.StreamChannel] with fixed
// lengths and signs of life.
//
// The signals are JSON. A description is {"transport", "certificate", "name"}: the network's name, SHA-256 of the certificate in
// hexadecimal, and the Handler's name for the set-up. A candidate of the Handler is {"address"}: an IP address and a port.
//
// # Limits
//
// The Requester must be able to reach one of the Handler's addresses; there is no hole punching. Of a peer's addresses 16 are
// dialed, one port of each host, and where the Policy allows. 1,024 connections that have not named a set-up are held, 128 of one host,
// for 3 s each; 64 may name one set-up.
package streams

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

const (
	handshakeTime = 10 * time.Second
	helloTime     = 3 * time.Second // until a connection has named a set-up
	usualSilence  = 12 * time.Second
	maxUnknown    = 1024 // connections that have not named a set-up
	maxOfHost     = 128  // of them from one host
	maxNamed      = 64   // connections that have named one set-up
	maxAddresses  = 16   // of this side, and of a peer
)

// ErrClosed is why set-ups of a closed Transport end.
var ErrClosed = errors.New("the transport was closed")

// Network is what a transport's connections run on. Listener and Dial are needed.
type Network struct {
	Name      string                  // of the transport, in signals and errors
	Listener  net.Listener            // of the one place where peers reach this side; the Transport closes it
	Addresses func() []netip.AddrPort // where peers may try to reach it, best first; the first 16 are sent
	Dial      func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	Policy    reach.Policy  // which addresses a peer may name
	Silence   time.Duration // after which a peer that sends nothing is dead; 0: 12 s
	Log       hclog.Logger
}

// Transport is a [p2p.Transport]: one listener and one certificate for all peers.
type Transport struct {
	network     Network
	certificate tls.Certificate
	hash        string          // of the certificate, as signalled
	ctx         context.Context // ends with the transport
	cancel      context.CancelFunc
	work        sync.WaitGroup // the accepting goroutines

	mu       sync.Mutex
	closed   bool
	awaited  map[string]*awaited // set-ups of Handlers, by name
	unknown  map[netip.Addr]int  // connections that have not named a set-up yet, by host
	unknowns int                 // and in all
	channels map[*channel]struct{}
}

// New makes a transport of a network and starts to accept connections.
func New(n Network) (*Transport, error) {
	if n.Silence == 0 {
		n.Silence = usualSilence
	}
	if n.Log == nil {
		n.Log = hclog.NewNullLogger()
	}
	t := &Transport{network: n, awaited: map[string]*awaited{}, unknown: map[netip.Addr]int{}, channels: map[*channel]struct{}{}}
	var err error
	if t.certificate, t.hash, err = newCertificate(); err != nil {
		return nil, fmt.Errorf("%s: making a certificate: %w", n.Name, err)
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.work.Go(t.accept)
	return t, nil
}

// newCertificate makes a self-signed certificate; its hash is what a peer knows it by.
func newCertificate() (tls.Certificate, string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, hashOf(der), nil
}

func hashOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// tlsConfig accepts the peer whose certificate has the hash, and no other. No authority is asked: the hash came through the
// signalling, which the runtimes have authenticated.
func (t *Transport) tlsConfig(hash string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{t.certificate},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection does it
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || hashOf(s.PeerCertificates[0].Raw) != hash {
				return errors.New("the peer's certificate is not the one that was signalled")
			}
			return nil
		},
	}
}

// channel is the channel of one connection.
type channel struct {
	*p2p.StreamChannel
	forget func()
}

// Close implements p2p.Channel.
func (c *channel) Close() error {
	defer c.forget()
	return c.StreamChannel.Close()
}

// channel makes the channel of a connection.
func (t *Transport) channel(conn *tls.Conn) (p2p.Channel, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = conn.NetConn().Close()
		return nil, ErrClosed
	}
	c := &channel{StreamChannel: p2p.NewStreamChannel(&stream{conn, t.network.Name}, p2p.StreamOptions{Name: t.network.Name, Silence: t.network.Silence})}
	c.forget = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.channels, c)
	}
	t.channels[c] = struct{}{}
	return c, nil
}

// Close ends the channels and the listener, and waits for every goroutine.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	open := make([]*channel, 0, len(t.channels))
	for c := range t.channels {
		open = append(open, c)
	}
	t.mu.Unlock()
	t.cancel()
	err := t.network.Listener.Close()
	for _, c := range open {
		_ = c.Close()
	}
	t.work.Wait()
	if errors.Is(err, net.ErrClosed) { // closed before
		err = nil
	}
	return err
}

// stream is a connection as a p2p.Conn; its errors name the transport and the peer's address.
type stream struct {
	*tls.Conn
	name string
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	return n, s.wrap(err)
}

func (s *stream) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	return n, s.wrap(err)
}

func (s *stream) wrap(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("%s: the connection to %s is cut: %w", s.name, s.RemoteAddr(), err)
}

// Close ends the connection at once: the channel has said what there is to say.
func (s *stream) Close() error { return s.NetConn().Close() }
