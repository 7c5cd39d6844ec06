package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/pion/ice/v2"
	"github.com/pion/transport/v2"
	"github.com/pion/transport/v2/stdnet"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

const (
	handshakeRetry = 50 * time.Millisecond // the library's second is lost whenever one side is ready before the other
	socketBuffer   = 8 << 20
	// receiveBuffer is how many bytes of payload a peer may have sent that were not read. It is as much as Send has on its way, and
	// it is small because a message of one byte costs the library 300.
	receiveBuffer = 1 << 20
)

// liveness is the times after which a peer is given up, and how often it is asked whether it still wants packets.
type liveness struct {
	disconnected time.Duration
	failed       time.Duration // after disconnected
	consent      time.Duration
}

func usualLiveness() liveness {
	return liveness{disconnected: 5 * time.Second, failed: 7 * time.Second, consent: 2 * time.Second}
}

// errClosed is the error of a transport that has been closed.
var errClosed = errors.New("the transport is closed")

// Transport connects runtimes by WebRTC data channels over one UDP socket.
type Transport struct {
	settings settings
	alive    liveness
	log      hclog.Logger
	socket   *net.UDPConn
	mux      *mux
	net      transport.Net // this machine's
	policy   reach.Policy  // which addresses peers may name
	id       string        // names the one socket to peers
	config   webrtc.Configuration
	unread   total       // of all channels; see meter
	weighing atomic.Bool // at this moment

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // set-ups and connections that are ending

	mu       sync.Mutex
	channels map[*conn]struct{}
	claims   map[string]int
	setUps   int // that have not succeeded or failed
	closed   bool
}

var _ p2p.Transport = (*Transport)(nil)

// New makes the transport and opens its socket.
func New(c p2p.Config) (p2p.Transport, error) { return open(c, usualLiveness()) }

func open(c p2p.Config, alive liveness) (*Transport, error) {
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
	t := &Transport{settings: s, alive: alive, log: c.Log, socket: socket, channels: map[*conn]struct{}{}, claims: map[string]int{}, id: rand.Text(), unread: total{most: maxUnreadInAll}}
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("webrtc: key: %w", err)
	}
	certificate, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return fmt.Errorf("webrtc: certificate: %w", err)
	}
	t.net = inner
	t.policy = reach.Policy{Loopback: t.settings.loopback, Private: t.settings.private, Broadcasts: broadcasts()}
	t.config = webrtc.Configuration{ICEServers: t.settings.servers, Certificates: []webrtc.Certificate{*certificate}}
	if t.settings.relayOnly {
		t.config.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	t.mux, err = newMux(t.socket, &t.settings)
	return err
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

// connection makes a connection with the peer, which the meter measures: over the one socket, or over sockets of its own, see
// claim.
func (t *Transport) connection(peer p2p.Peer, shared bool, m *meter) (*webrtc.PeerConnection, error) {
	var e webrtc.SettingEngine
	e.LoggerFactory = logFactory{t.log}
	e.DetachDataChannels()
	e.DisableMediaEngineCopy(true) // it is this connection's alone, and has nothing in it
	e.DisableActiveTCP(true)
	e.SetNet(filteredNet{t.net, &gate{mux: t.mux, peer: string(peer.Remote), meter: m}})
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetIncludeLoopbackCandidate(t.settings.loopback)
	e.SetInterfaceFilter(t.settings.uses)
	e.SetDTLSRetransmissionInterval(handshakeRetry)
	e.SetPrflxAcceptanceMinWait(0) // a peer that was heard before its candidate came is as good as any: the library waits a second
	e.SetICETimeouts(t.alive.disconnected, t.alive.failed, t.alive.consent)
	e.SetSCTPMaxReceiveBufferSize(receiveBuffer)
	e.EnableSCTPZeroChecksum(true) // DTLS leaves nothing for a checksum to find (RFC 9653); used where the peer knows it too
	if shared {
		e.SetICEUDPMux(peersMux{t.mux, string(peer.Remote), m})
	}
	return webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(t.config)
}

// Close ends every channel and set-up, and the socket.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	all := make([]*conn, 0, len(t.channels))
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
	t.channels[c.conn] = struct{}{}
	c.meter.join(&t.unread)
	return nil
}

// arriveTime is within what a packet that has come is with SCTP.
const arriveTime = 50 * time.Millisecond

// weigh ends channels, those with most that has come and was not read, until it is not too much in all. It does not wait.
func (t *Transport) weigh() {
	if !t.weighing.CompareAndSwap(false, true) {
		return
	}
	if t.enter() != nil { // it ends
		return
	}
	go func() {
		defer t.wg.Done()
		defer t.weighing.Store(false)
		for t.lighten() {
		}
	}()
}

// lighten ends one channel, where it is too much in all. What others have sent in peers' names counts for nobody.
func (t *Transport) lighten() bool {
	come := make(map[*conn]int64)
	if t.heaviest(func(c *conn) (unread int64) { come[c], unread = c.meter.explain(); return unread }) == nil {
		return false
	}
	select {
	case <-time.After(arriveTime):
	case <-t.ctx.Done():
		return false
	}
	most := t.heaviest(func(c *conn) int64 { return c.meter.settle(come[c]) })
	if most == nil {
		return false
	}
	most.end(fmt.Errorf("all peers together have sent %d KiB that were not read, this one the most, %d: at most %d",
		t.unread.bytes.Load()>>10, most.meter.unread.Load()>>10, t.unread.most>>10))
	return true
}

// heaviest looks at all channels, and returns the one with most where it is too much in all.
func (t *Transport) heaviest(look func(*conn) (unread int64)) (most *conn) {
	t.mu.Lock()
	list := slices.Collect(maps.Keys(t.channels))
	t.mu.Unlock()
	var largest, all int64
	for _, c := range list {
		n := look(c)
		if all += n; most == nil || n > largest {
			most, largest = c, n
		}
	}
	if all <= t.unread.most {
		return nil
	}
	return most
}

// forget lets go of a channel that has ended, and has Close wait until its connection is closed: it finds either the channel
// or the wait. Whoever closes the connection says t.wg.Done.
func (t *Transport) forget(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.channels, c)
	c.meter.leave()
	t.wg.Add(1)
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

// maxSetUps bounds the set-ups at once: each may have a handshake in memory with somebody who has proven nothing yet.
const maxSetUps = 256

// begin counts a set-up, begun its end.
func (t *Transport) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.setUps >= maxSetUps {
		return fmt.Errorf("%d set-ups are under way, as many as there may be: try again later", t.setUps)
	}
	t.setUps++
	return nil
}

func (t *Transport) begun() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setUps--
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
