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

// ErrClosed is why set-ups and channels of a closed Transport end.
var ErrClosed = errors.New("the QUIC transport was closed")

// Transport is the process' one UDP socket and what runs on it. [New] makes it; it implements p2p.Transport.
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

	dialTime atomic.Int64 // nanoseconds: how long successful dials take

	life     context.Context // ends with Close
	end      context.CancelCauseFunc
	work     sync.WaitGroup // the reader, the acceptor and their goroutines
	connects sync.WaitGroup // calls of Connect

	mu       sync.Mutex // guards what follows
	closed   bool
	setups   map[token]*setup
	welcome  map[hash]int // certificates of Requesters that set-ups wait for, and how many do
	queries  map[transaction]*query
	channels map[*channel]struct{}
	knocks   map[string]token // how clients name the set-ups that wait for them

	admission admission     // of connections that come in
	maxUnread int64         // of a connection; see watch.go
	heap      func() uint64 // how many bytes of the heap are in use
}

// setup is one call of Connect, as the socket's reader and the acceptor see it.
type setup struct {
	role    p2p.Role
	peer    hash                // Handler: whom it lets in
	taken   bool                // Handler: won has been filled; guarded by Transport.mu
	won     chan arrival        // Handler: the first connection that matches; room for one
	punched chan netip.AddrPort // Requester: where punches came from; what finds no room is lost
}

// arrival is a connection with the stream that frames will use.
type arrival struct {
	conn   *quic.Conn
	stream *quic.Stream
}

// close gives the connection up.
func (a arrival) close(code quic.ApplicationErrorCode, why string) {
	_ = a.conn.CloseWithError(code, why)
}

// New opens the socket. It is a p2p.New. Errors say which option is wrong, or that the port is taken.
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

// Connect sets up one channel with the peer. The error names every address that was tried and what happened there; it
// wraps the context's cause where that ended the set-up.
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

// hold makes a channel of an arrival and keeps it until its connection is over.
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

// register makes a set-up known under the token; the returned function forgets it.
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
