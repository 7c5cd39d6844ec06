package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
	maxUnknown    = 1024            // connections that have not
	maxOfHost     = 128             // of them from one host
	maxNamed      = 64              // connections that have named one set-up
	maxAddresses  = 16              // of this side, and of a peer
)

// options are the operator's.
type options struct {
	Listen    string   `json:"listen"`
	Advertise []string `json:"advertise"`
	Loopback  *bool    `json:"loopback"` // null: true
	Private   *bool    `json:"private"`  // null: true
}

var errClosed = errors.New("tcp: the transport is closed")

// transport is the p2p.Transport: one listener and one certificate for all peers.
type transport struct {
	log         hclog.Logger
	listener    net.Listener
	certificate tls.Certificate
	hash        string // of the certificate, as signalled
	advertise   []netip.AddrPort
	policy      reach.Policy    // which addresses a peer may name
	patience    time.Duration   // with a peer of which nothing comes
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

// New is the plug-in's p2p.New.
func New(c p2p.Config) (p2p.Transport, error) { return open(c, patience) }

func open(c p2p.Config, patience time.Duration) (p2p.Transport, error) {
	o := options{Listen: ":0"}
	if len(c.Options) > 0 {
		d := json.NewDecoder(bytes.NewReader(c.Options))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			return nil, fmt.Errorf("tcp: options: %w; known are listen, advertise, loopback and private", err)
		}
	}
	t := &transport{log: c.Log, patience: patience, awaited: map[string]*awaited{}, unknown: map[netip.Addr]int{}, channels: map[*channel]struct{}{}}
	t.policy = reach.Policy{Loopback: o.Loopback == nil || *o.Loopback, Private: o.Private == nil || *o.Private}
	for _, a := range o.Advertise {
		addr, err := netip.ParseAddrPort(a)
		if err != nil || !usable(addr) || len(t.advertise) >= maxAddresses {
			return nil, fmt.Errorf("tcp: option advertise: %q: want up to %d addresses like 203.0.113.7:7000", a, maxAddresses)
		}
		t.advertise = append(t.advertise, addr)
	}
	var err error
	if t.certificate, t.hash, err = newCertificate(); err != nil {
		return nil, fmt.Errorf("tcp: making a certificate: %w", err)
	}
	if t.listener, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("tcp: option listen: %w", err)
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

// tlsConfig takes the peer whose certificate has the hash, and nobody else. No authority is asked: the hash came
// through the signalling, which the runtimes have authenticated.
func (t *transport) tlsConfig(hash string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{t.certificate},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection does it
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || hashOf(s.PeerCertificates[0].Raw) != hash {
				return errors.New("tcp: the peer's certificate is not the one that was signalled")
			}
			return nil
		},
	}
}

// accept runs until the listener is closed.
func (t *transport) accept() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			if t.ctx.Err() != nil {
				return
			}
			t.log.Warn("accepting a connection", "error", err)
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

// admit gives a connection a place until leave is called, once or more. One host has few, so that it cannot keep others out.
func (t *transport) admit(conn net.Conn) (leave func(), ok bool) {
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

// match finds the set-up that an incoming connection is for, checks who it is, and waits until the peer has chosen
// this connection among those that it has tried. It calls named when the connection has named one.
func (t *transport) match(raw net.Conn, named func()) {
	ctx, cancel := context.WithTimeout(t.ctx, handshakeTime)
	defer cancel()
	late := time.AfterFunc(helloTime, func() { _ = raw.Close() })
	defer late.Stop()
	var found *awaited
	conn := tls.Server(&watched{Conn: raw, patience: t.patience}, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		late.Stop()
		if found = t.find(hello.ServerName); found == nil {
			return nil, errors.New("tcp: nobody awaits this connection")
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
		t.log.Debug("refused a connection", "from", raw.RemoteAddr().String(), "error", err)
		_ = raw.Close()
	}
}

// find is the set-up of that name, where it waits for a connection and few have named it.
func (t *transport) find(name string) *awaited {
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

// take gives the set-up its connection; false where it has one or is over.
func (a *awaited) take(t *transport, conn *tls.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.awaited[a.name] != a {
		return false
	}
	delete(t.awaited, a.name)
	a.box <- conn
	return true
}

// channel makes the channel of a connection.
func (t *transport) channel(conn *tls.Conn) (p2p.Channel, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = conn.NetConn().Close()
		return nil, errClosed
	}
	c := newChannel(conn, t.patience, func(c *channel) {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.channels, c)
	})
	t.channels[c] = struct{}{}
	return c, nil
}

// Close ends the channels and the listener, and waits for every goroutine.
func (t *transport) Close() error {
	t.mu.Lock()
	t.closed = true
	open := make([]*channel, 0, len(t.channels))
	for c := range t.channels {
		open = append(open, c)
	}
	t.mu.Unlock()
	t.cancel()
	err := t.listener.Close()
	for _, c := range open {
		_ = c.Close()
	}
	t.work.Wait()
	if errors.Is(err, net.ErrClosed) { // closed before
		err = nil
	}
	return err
}
