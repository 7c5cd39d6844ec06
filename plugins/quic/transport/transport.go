package transport

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/internal/gcpace"
	"github.com/protofly/protofly/sdk/p2p"
)

// ErrClosed is the error of set-ups and channels of a closed Transport.
var ErrClosed = errors.New("the QUIC transport was closed")

// Transport has the process's one UDP socket and all connections on it. [New] makes it. It implements p2p.Transport.
type Transport struct {
	set         settings
	alive       liveness
	log         hclog.Logger
	certificate tls.Certificate
	hash        hash           // of certificate
	local       netip.AddrPort // of the socket
	socket      net.PacketConn
	quic        *quic.Transport
	listener    *quic.Listener
	gate        *gate

	dialTime atomic.Int64 // nanoseconds: the average time of successful dials

	life     context.Context // ends with Close
	end      context.CancelCauseFunc
	work     sync.WaitGroup // the reader, the acceptor and their goroutines
	connects sync.WaitGroup // calls of Connect

	mu       sync.Mutex // guards what follows
	closed   bool
	setups   map[token]*setup
	welcome  map[hash]int // number of set-ups that wait for a Requester, by its certificate
	queries  map[transaction]*query
	channels map[*channel]struct{}
	knocks   map[string]token // waiting set-ups, by the application protocol with which clients name them

	admission admission     // of incoming connections
	maxUnread int64         // of a connection; see watch.go
	heap      func() uint64 // returns how many bytes of the heap are in use
}

// setup is one call of Connect, as the socket's reader and the acceptor see it.
type setup struct {
	role    p2p.Role
	peer    hash                // Handler: the certificate of its Requester
	taken   bool                // Handler: won has its connection; guarded by Transport.mu
	won     chan arrival        // Handler: the first connection for this set-up; has room for one
	punched chan netip.AddrPort // Requester: addresses that punches came from; those that find no room are dropped
}

// arrival is a connection and its stream for frames.
type arrival struct {
	conn   *quic.Conn
	stream *quic.Stream
}

// close closes the connection.
func (a arrival) close(code quic.ApplicationErrorCode, why string) {
	_ = a.conn.CloseWithError(code, why)
}

// New opens the socket. It is a p2p.New. The error says which option is wrong, or that the port is taken.
func New(c p2p.Config) (p2p.Transport, error) { return openTransport(c, usualLiveness()) }

func openTransport(c p2p.Config, alive liveness) (p2p.Transport, error) {
	set, err := parseOptions(c.Options)
	if err != nil {
		return nil, err
	}
	t := &Transport{
		set: set, alive: alive, log: c.Log, gate: newGate(), admission: newAdmission(), maxUnread: maxUnread, heap: gcpace.Live, knocks: make(map[string]token),
		setups: make(map[token]*setup), welcome: make(map[hash]int),
		queries: make(map[transaction]*query), channels: make(map[*channel]struct{}),
	}
	if t.log == nil {
		t.log = hclog.NewNullLogger()
	}
	if t.certificate, t.hash, err = newCertificate(); err != nil {
		return nil, err
	}
	if err := t.open(); err != nil {
		return nil, err
	}
	t.life, t.end = context.WithCancelCause(context.Background())
	t.work.Go(t.accept)
	t.work.Go(t.read)
	t.work.Go(t.watch)
	t.log.Info("listening", "address", t.local, "certificate", hex.EncodeToString(t.hash[:]))
	return t, nil
}

// Connect sets up one channel with the peer. The error lists the addresses that were tried, with their errors. It wraps the
// context's cause if that has ended the set-up.
func (t *Transport) Connect(ctx context.Context, peer p2p.Peer, signals p2p.Signals) (p2p.Channel, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := t.enter(); err != nil {
		return nil, fmt.Errorf("quic: connect to %s: %w", peer.Remote, err)
	}
	defer t.connects.Done()
	defer context.AfterFunc(t.life, func() { cancel(ErrClosed) })()

	talk := newTalk(t, string(peer.Remote), signals)
	var won arrival
	var err error
	switch peer.Role {
	case p2p.Requester:
		won, err = t.request(ctx, talk)
	case p2p.Handler:
		won, err = t.handle(ctx, talk)
	default:
		err = fmt.Errorf("unknown role %d", peer.Role)
	}
	cancel(nil)
	talk.wait()
	if err != nil {
		return nil, fmt.Errorf("quic: no connection to %s: %w", peer.Remote, err)
	}
	t.gate.answered(string(peer.Remote), won.conn.RemoteAddr().(*net.UDPAddr).AddrPort())
	t.log.Debug("connected", "peer", peer.Remote, "address", won.conn.RemoteAddr())
	return t.hold(won), nil
}

// Close ends every set-up and every channel (their peers see io.EOF), closes the socket and waits for all of it.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.work.Wait()
		return nil
	}
	t.closed = true
	t.mu.Unlock()
	t.end(ErrClosed)
	t.connects.Wait()

	t.mu.Lock()
	open := make([]*channel, 0, len(t.channels))
	for c := range t.channels {
		open = append(open, c)
	}
	t.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	_ = t.listener.Close()
	err := errors.Join(t.quic.Close(), t.socket.Close())
	t.work.Wait()
	if err != nil {
		return fmt.Errorf("quic: close the UDP socket: %w", err)
	}
	return nil
}

// enter counts a call of Connect; Close waits for it.
func (t *Transport) enter() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	t.connects.Add(1)
	return nil
}

// hold makes a channel of an arrival, and keeps it in the table until its connection has ended.
func (t *Transport) hold(a arrival) *channel {
	c := newChannel(a, t.alive.silence)
	t.mu.Lock()
	t.channels[c] = struct{}{}
	t.mu.Unlock()
	context.AfterFunc(a.conn.Context(), func() {
		t.mu.Lock()
		delete(t.channels, c)
		t.mu.Unlock()
	})
	return c
}

// register adds a set-up under its token; the returned function removes it.
func (t *Transport) register(name token, s *setup) (forget func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setups[name] = s
	if s.role == p2p.Handler {
		t.welcome[s.peer]++
		t.knocks[name.knock()] = name
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.setups, name)
		if s.role != p2p.Handler {
			return
		}
		delete(t.knocks, name.knock())
		if t.welcome[s.peer]--; t.welcome[s.peer] == 0 {
			delete(t.welcome, s.peer)
		}
	}
}
