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
	handshakeRetry = 50 * time.Millisecond // the library's default, a second, is lost whenever one side is ready before the other
	socketBuffer   = 8 << 20
	// receiveBuffer is how many bytes of unread payload a peer may have sent. It is as much as Send keeps in the library, and
	// small, since a message of one byte takes 300 bytes in the library.
	receiveBuffer = 1 << 20
)

// liveness has the times after which a peer is given up, and the interval of consent checks.
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
	net      transport.Net // this machine's network
	policy   reach.Policy  // which addresses peers may name
	id       string        // the name of the shared socket for peers
	config   webrtc.Configuration
	unread   total       // of all channels; see meter
	weighing atomic.Bool // weigh runs

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // set-ups and connections that are ending

	mu       sync.Mutex
	channels map[*conn]struct{}
	claims   map[string]int
	setUps   int // set-ups in progress
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

// prepare makes the parts that all connections share.
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
	addresses, _ := net.InterfaceAddrs() // after an error there are none
	for _, a := range addresses {
		if network, err := netip.ParsePrefix(a.String()); err == nil {
			if b, ok := reach.BroadcastOf(network); ok {
				found = append(found, b)
			}
		}
	}
	return found
}

// connection makes a connection with the peer, whose packets m counts. It uses the shared socket, or sockets of its own; see claim.
func (t *Transport) connection(peer p2p.Peer, shared bool, m *meter) (*webrtc.PeerConnection, error) {
	var e webrtc.SettingEngine
	e.LoggerFactory = logFactory{t.log}
	e.DetachDataChannels()
	e.DisableMediaEngineCopy(true) // the media engine is empty and used by this connection alone
	e.DisableActiveTCP(true)
	e.SetNet(filteredNet{t.net, &gate{mux: t.mux, peer: string(peer.Remote), meter: m}})
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetIncludeLoopbackCandidate(t.settings.loopback)
	e.SetInterfaceFilter(t.settings.uses)
	e.SetDTLSRetransmissionInterval(handshakeRetry)
	e.SetPrflxAcceptanceMinWait(0) // use a path that was learned from a check at once; the library's default is to wait a second
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

// keep adds a live channel to those that Close ends.
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

// arriveTime is the longest time from a packet's arrival until SCTP has it.
const arriveTime = 50 * time.Millisecond

// weigh ends channels, those with most unread bytes first, until the total is within its limit. It does not block.
func (t *Transport) weigh() {
	if !t.weighing.CompareAndSwap(false, true) {
		return
	}
	if t.enter() != nil { // the transport is being closed
		return
	}
	go func() {
		defer t.wg.Done()
		defer t.weighing.Store(false)
		for t.lighten() {
		}
	}()
}

// lighten ends one channel if the total is beyond its limit. Packets that others have forged in peers' names do not count.
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

// heaviest returns the channel with most unread bytes if the total is beyond its limit, else nil.
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

// forget removes a channel that has ended, and makes Close wait until its connection is closed. Close so either finds the channel or
// waits. The goroutine that closes the connection calls t.wg.Done.
func (t *Transport) forget(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.channels, c)
	c.meter.leave()
	t.wg.Add(1)
}

// enter notes a set-up, which Close waits for. Its end is t.wg.Done.
func (t *Transport) enter() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	t.wg.Add(1)
	return nil
}

// maxSetUps bounds the set-ups in progress: each may keep a handshake with a peer that is not authenticated yet.
const maxSetUps = 256

// begin notes the begin of a set-up, begun its end.
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

// claim takes the names for a connection, and tells whether all of them were free: then it may use the shared
// socket. The packets of two connections between the same two sockets cannot be told apart. So a second connection
// with a runtime, which exists for a moment when both sides request one or one requests again, gets sockets of its own.
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
