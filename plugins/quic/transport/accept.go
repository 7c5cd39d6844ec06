package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/sdk/p2p"
)

// The pauses between punches, datagrams by which the Handler opens its NAT. The Handler punches again after 100 ms, after 100 ms
// more, and then after twice the pause before, since most set-ups take less than a second. A NAT stays open for longer than
// punchSlow.
const (
	punchFast = 100 * time.Millisecond
	punchSlow = 3200 * time.Millisecond
)

// handle is the Handler's side of a set-up. The caller ends ctx and waits for the signalling's goroutines.
func (t *Transport) handle(ctx context.Context, talk *talk) (arrival, error) {
	talk.aims.awaited = true
	talk.listen(ctx)
	var peer description
	select {
	case n := <-talk.news:
		if n.description == nil {
			return arrival{}, errors.New("the peer's first signal is not its description")
		}
		peer = *n.description
	case err := <-talk.failed:
		return arrival{}, err
	case <-ctx.Done():
		return arrival{}, fmt.Errorf("wait for the peer's description: %w", context.Cause(ctx))
	}
	self := &setup{role: p2p.Handler, peer: peer.certificate, won: make(chan arrival, 1)}
	name := newToken()
	forget := t.register(name, self)
	talk.speak(ctx, name)
	won, err := t.attend(ctx, talk, self, peer)
	forget()
	if err != nil {
		select {
		case late := <-self.won:
			late.close(codeAbandoned, "the set-up is over")
		default:
		}
	}
	return won, err
}

// attend punches until a connection for this set-up has come.
func (t *Transport) attend(ctx context.Context, talk *talk, self *setup, peer description) (arrival, error) {
	packet := encodePunch(peer.token)
	var targets []netip.AddrPort
	add := func(found ...candidate) {
		for _, c := range found {
			if c.kind != typeEnd && talk.aims.add(c.address) {
				targets = append(targets, c.address)
				t.punch(packet, c.address)
			}
		}
	}
	add(peer.candidates...)
	pace := punchFast
	again := time.NewTimer(pace)
	defer again.Stop()
	for {
		select {
		case won := <-self.won:
			if _, err := won.stream.Write([]byte{accepted}); err != nil {
				won.close(codeAbandoned, "cannot answer")
				return arrival{}, fmt.Errorf("let the peer in: %w", err)
			}
			return won, nil
		case n := <-talk.news:
			add(n.candidate)
		case <-again.C:
			for _, at := range targets {
				t.punch(packet, at)
			}
			again.Reset(pace)
			pace = min(2*pace, punchSlow)
		case err := <-talk.failed:
			return arrival{}, err
		case <-ctx.Done():
			return arrival{}, fmt.Errorf("the peer did not come by any of %d addresses: %w", len(talk.here.hosts), context.Cause(ctx))
		}
	}
}

// punch sends one datagram. It ignores errors, since other addresses may work.
func (t *Transport) punch(packet []byte, to netip.AddrPort) {
	_, _ = t.quic.WriteTo(packet, net.UDPAddrFromAddrPort(to))
}

// accept accepts connections whose handshake is done, until the transport is closed.
func (t *Transport) accept() {
	for {
		conn, err := t.listener.Accept(t.life)
		if err != nil {
			return
		}
		t.work.Go(func() { t.match(conn) })
	}
}

// match finds the set-up that the connection is for, or closes it.
func (t *Transport) match(conn *quic.Conn) {
	ctx, cancel := context.WithTimeout(t.life, matchTimeout)
	defer cancel()
	refuse := func() { _ = conn.CloseWithError(codeUnknown, "no set-up waits for this connection") }
	stop := context.AfterFunc(ctx, refuse)
	stream, err := conn.AcceptStream(ctx)
	var name token
	if err == nil {
		_, err = io.ReadFull(stream, name[:])
	}
	if !stop() || err != nil {
		refuse()
		return
	}
	peer, err := peerHash(conn.ConnectionState().TLS)
	if err != nil || !t.claim(name, peer, arrival{conn: conn, stream: stream}) {
		refuse()
	}
}

// claim gives the connection to the set-up with the token, if that waits for this peer and has none yet.
func (t *Transport) claim(name token, peer hash, a arrival) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.setups[name]
	if s == nil || s.role != p2p.Handler || s.peer != peer || s.taken {
		return false
	}
	s.taken = true
	if p, ok := a.conn.Context().Value(placeKey{}).(*place); ok {
		t.admission.leave(p)
	}
	s.won <- a // does not block: it has room for one, and s.taken was false
	return true
}
