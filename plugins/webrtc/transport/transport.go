package transport

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pion/ice/v2"
	"github.com/pion/transport/v2"
	"github.com/pion/transport/v2/stdnet"

	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

// The times after which a peer is given up, and the size of the socket's buffers.
const (
	disconnectedTimeout = 5 * time.Second
	failedTimeout       = 7 * time.Second // after disconnected
	consentInterval     = 2 * time.Second
	handshakeRetry      = 50 * time.Millisecond // the library's second is lost whenever one side is ready before the other
	socketBuffer        = 8 << 20
	receiveBuffer       = 8 << 20 // of one association
)

// errClosed is the error of a transport that has been closed.
var errClosed = errors.New("the transport is closed")

// Transport connects runtimes by WebRTC data channels over one UDP socket.
type Transport struct {
	settings settings
	log      hclog.Logger
	socket   *net.UDPConn
	mux      *mux
	net      transport.Net // this machine's
	loggers  logFactory    // the library's
	policy   reach.Policy  // which addresses peers may name
	id       string        // names the one socket to peers
	maxHeld  int64         // bytes of what has come and was not read, of all channels

	certificate  tls.Certificate
	fingerprints []fingerprint // of it

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // set-ups and connections that are ending

	mu       sync.Mutex
	channels map[*channel]struct{}
	claims   map[string]int
	closed   bool
}

var _ p2p.Transport = (*Transport)(nil)

// New makes the transport and opens its socket.
func New(c p2p.Config) (p2p.Transport, error) { return open(c) }

func open(c p2p.Config) (*Transport, error) {
	s, err := parseOptions(c.Options)
	if err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = hclog.NewNullLogger()
	}
	socket, err := net.ListenUDP("udp", s.listen)
	if err != nil {
		return nil, fmt.Errorf("webrtc: listen on %s: %w (is the port in use? set \"listen\" in the plug-in's options)", s.listen, err)
	}
	_ = socket.SetReadBuffer(socketBuffer) // as much as the system allows
	_ = socket.SetWriteBuffer(socketBuffer)
	t := &Transport{settings: s, log: c.Log, socket: socket, channels: map[*channel]struct{}{}, claims: map[string]int{}, id: rand.Text(), maxHeld: maxHeld}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	if err := t.prepare(); err != nil {
		t.cancel()
		return nil, errors.Join(err, socket.Close())
	}
	return t, nil
}

// prepare makes what all connections share.
func (t *Transport) prepare() error {
	inner, err := stdnet.NewNet()
	if err != nil {
		return fmt.Errorf("webrtc: network interfaces: %w", err)
	}
	t.net, t.loggers = inner, logFactory{t.log}
	t.policy = reach.Policy{Loopback: t.settings.loopback, Private: t.settings.private, Broadcasts: broadcasts()}
	if t.certificate, err = newCertificate(); err != nil {
		return fmt.Errorf("webrtc: certificate: %w", err)
	}
	t.fingerprints = []fingerprint{{"sha-256", fingerprintOf(crypto.SHA256, t.certificate.Certificate[0])}}
	t.mux, err = newMux(t.socket, &t.settings)
	return err
}

// certificateLife is long enough for every process. Peers know the certificate by its hash.
const certificateLife = 10 * 365 * 24 * time.Hour

// newCertificate makes the certificate that this side shows to its peers.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateLife)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, nil
}

// broadcasts are the broadcast addresses of this machine's networks.
func broadcasts() []netip.Addr {
	var found []netip.Addr
	addresses, _ := net.InterfaceAddrs() // none: none
	for _, a := range addresses {
		if network, err := netip.ParsePrefix(a.String()); err == nil {
			if b, ok := reach.BroadcastOf(network); ok {
				found = append(found, b)
			}
		}
	}
	return found
}

// agent makes what looks for a way to the peer: over the one socket, or over sockets of its own, see claim.
func (t *Transport) agent(peer p2p.Peer, shared bool) (*ice.Agent, error) {
	disconnected, failed, consent, atOnce := disconnectedTimeout, failedTimeout, consentInterval, time.Duration(0)
	config := &ice.AgentConfig{
		Urls:                t.settings.servers,
		NetworkTypes:        []ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6},
		MulticastDNSMode:    ice.MulticastDNSModeDisabled,
		DisableActiveTCP:    true,
		IncludeLoopback:     t.settings.loopback,
		InterfaceFilter:     t.settings.uses,
		DisconnectedTimeout: &disconnected,
		FailedTimeout:       &failed,
		KeepaliveInterval:   &consent,
		// A peer that was heard before its candidate came is as good as any: the library waits a second.
		PrflxAcceptanceMinWait: &atOnce,
		Net:                    filteredNet{t.net, &gate{mux: t.mux, peer: string(peer.Remote)}},
		LoggerFactory:          t.loggers,
	}
	if shared {
		config.UDPMux = peersMux{t.mux, string(peer.Remote)}
	}
	if t.settings.relayOnly {
		config.CandidateTypes = []ice.CandidateType{ice.CandidateTypeRelay}
	}
	return ice.NewAgent(config)
}

// Close ends every channel and set-up, and the socket.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	all := make([]*channel, 0, len(t.channels))
	for c := range t.channels {
		all = append(all, c)
	}
	t.mu.Unlock()
	t.cancel()
	for _, c := range all {
		_ = c.Close()
	}
	t.wg.Wait()
	return t.mux.Close()
}

// keep remembers a live channel, so that Close ends it.
func (t *Transport) keep(c *channel) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	select {
	case <-c.done:
		return c.ended()
	default:
	}
	t.channels[c] = struct{}{}
	return nil
}

// weigh ends the channel whose peer has sent most of what waits to be read, where that is too much in all.
func (t *Transport) weigh() {
	t.mu.Lock()
	var most *channel
	var held, all int64
	for c := range t.channels {
		n := c.guard.held()
		all += n
		if n >= held {
			most, held = c, n
		}
	}
	t.mu.Unlock()
	if all > t.maxHeld && most != nil {
		most.end(fmt.Errorf("all peers together have sent %d MiB that have not been read, this one the most, %d: at most %d",
			all>>20, held>>20, t.maxHeld>>20))
	}
}

func (t *Transport) forget(c *channel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.channels, c)
}

// enter notes a set-up, which Close waits for; leave it with t.wg.Done.
func (t *Transport) enter() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	t.wg.Add(1)
	return nil
}

// claim notes a connection with each of the names, and tells whether they were all free: then it may use the one
// socket. The packets of two connections between the same two sockets cannot be told apart, so a second connection
// with a runtime, as there is for a moment when both sides ask or one asks again, gets sockets of its own.
func (t *Transport) claim(names ...string) (free bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	free = true
	for _, name := range names {
		free = free && t.claims[name] == 0
		t.claims[name]++
	}
	return free
}

func (t *Transport) release(names ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if t.claims[name]--; t.claims[name] == 0 {
			delete(t.claims, name)
		}
	}
}
