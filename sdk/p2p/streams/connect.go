package streams

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

// description is what each side says of itself. Name is the Handler's only.
type description struct {
	Transport   string `json:"transport"`
	Certificate string `json:"certificate"` // SHA-256, hexadecimal
	Name        string `json:"name,omitempty"`
}

// candidate is an address at which the Handler listens.
type candidate struct {
	Address string `json:"address"`
}

// Connect implements p2p.Transport.
func (t *Transport) Connect(ctx context.Context, peer p2p.Peer, signals p2p.Signals) (p2p.Channel, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(ErrClosed) })()
	var conn *tls.Conn
	var err error
	if peer.Role == p2p.Requester {
		conn, err = t.request(ctx, signals)
	} else {
		conn, err = t.handle(ctx, signals)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: connecting to %s: %w", t.network.Name, peer.Remote, err)
	}
	return t.channel(conn)
}

// request is the Requester's side: offer, take the answer, dial every address that comes.
func (t *Transport) request(ctx context.Context, signals p2p.Signals) (*tls.Conn, error) {
	if err := send(ctx, signals, p2p.Description, description{Transport: t.network.Name, Certificate: t.hash}); err != nil {
		return nil, err
	}
	answer, err := t.recvDescription(ctx, signals)
	if err != nil {
		return nil, err
	}
	if len(answer.Name) != 32 {
		return nil, errors.New("the answer has no name for the connection")
	}
	config := t.tlsConfig(answer.Certificate)
	config.ServerName = answer.Name
	return t.dialAll(ctx, signals, config)
}

// dialed is how one attempt ended.
type dialed struct {
	conn *tls.Conn
	err  error
}

// dialAll dials each candidate as it comes, side by side, and returns the first connection that the other side
// confirms. When it returns every other attempt has ended. A peer may name few candidates, and only at addresses that the
// policy allows.
func (t *Transport) dialAll(ctx context.Context, signals p2p.Signals, config *tls.Config) (*tls.Conn, error) {
	dialing, stop := context.WithCancel(ctx)
	results := make(chan dialed, p2p.MaxCandidates+1)
	var attempts sync.WaitGroup
	defer func() {
		stop()
		attempts.Wait()
		close(results)
		for late := range results {
			if late.conn != nil {
				_ = late.conn.NetConn().Close()
			}
		}
	}()
	attempts.Go(func() {
		named := reach.Candidates{Policy: t.network.Policy, Max: maxAddresses, MaxPorts: 1}
		for range p2p.MaxCandidates {
			addr, err := recvCandidate(dialing, signals)
			if err != nil {
				results <- dialed{err: err}
				return
			}
			if fresh, err := named.Add(addr); !fresh {
				t.network.Log.Debug("an address of the peer is not used", "error", err)
				continue
			}
			attempts.Go(func() {
				conn, err := t.dial(dialing, addr, config)
				results <- dialed{conn, err}
			})
		}
	})
	var last error
	for {
		select {
		case r := <-results:
			if r.err == nil {
				if r.err = confirm(ctx, r.conn); r.err == nil {
					return r.conn, nil
				}
			}
			last = r.err
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), last)
		}
	}
}

func (t *Transport) dial(ctx context.Context, addr netip.AddrPort, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	raw, err := t.network.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return conn, nil
}

// confirm tells the other side that this is the connection, and waits for its consent: only then has it checked the
// certificate of this side.
func confirm(ctx context.Context, conn *tls.Conn) error {
	defer context.AfterFunc(ctx, func() { _ = conn.NetConn().Close() })()
	_, err := conn.Write([]byte{1})
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		_ = conn.NetConn().Close()
		return fmt.Errorf("%s has not confirmed: %w", conn.RemoteAddr(), err)
	}
	return nil
}

// handle is the Handler's side: take the offer, give the connection a name, answer, and wait until it comes.
func (t *Transport) handle(ctx context.Context, signals p2p.Signals) (*tls.Conn, error) {
	offer, err := t.recvDescription(ctx, signals)
	if err != nil {
		return nil, err
	}
	name := make([]byte, 16)
	_, _ = rand.Read(name) // never fails
	a := &awaited{name: hex.EncodeToString(name), hash: offer.Certificate, box: make(chan *tls.Conn, 1)}
	t.mu.Lock()
	t.awaited[a.name] = a
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.awaited, a.name)
		t.mu.Unlock()
		select { // came in after this set-up had given up
		case late := <-a.box:
			_ = late.NetConn().Close()
		default:
		}
	}()
	if err := send(ctx, signals, p2p.Description, description{Transport: t.network.Name, Certificate: t.hash, Name: a.name}); err != nil {
		return nil, err
	}
	for _, addr := range t.addresses() {
		if err := send(ctx, signals, p2p.Candidate, candidate{addr.String()}); err != nil {
			return nil, err
		}
	}
	select {
	case conn := <-a.box:
		if _, err := conn.Write([]byte{1}); err != nil {
			_ = conn.NetConn().Close()
			return nil, err
		}
		return conn, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// addresses are where this side says that it can be reached.
func (t *Transport) addresses() []netip.AddrPort {
	if t.network.Addresses == nil {
		return nil
	}
	list := t.network.Addresses()
	return list[:min(len(list), maxAddresses)]
}

// Usable tells whether an address can be dialled by a stranger; link-local ones need a zone that only this machine knows.
func Usable(a netip.AddrPort) bool {
	ip := a.Addr()
	return a.IsValid() && a.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast() && ip.Zone() == ""
}

func send(ctx context.Context, signals p2p.Signals, kind p2p.SignalKind, v any) error {
	if err := signals.Send(ctx, p2p.Signal{Kind: kind, Value: message.Encode(v)}); err != nil {
		return fmt.Errorf("signalling: %w", err)
	}
	return nil
}

func (t *Transport) recvDescription(ctx context.Context, signals p2p.Signals) (description, error) {
	s, err := signals.Recv(ctx)
	if err != nil {
		return description{}, fmt.Errorf("signalling: %w", err)
	}
	return parseDescription(t.network.Name, s.Value)
}

func parseDescription(name string, text []byte) (description, error) {
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return description{}, fmt.Errorf("the other side's description: %w", err)
	}
	if sum, err := hex.DecodeString(d.Certificate); d.Transport != name || err != nil || len(sum) != 32 {
		return description{}, fmt.Errorf("the other side's description is not one of this transport (%.20q)", d.Transport)
	}
	return d, nil
}

// recvCandidate returns the next address that may be dialled; others are passed over.
func recvCandidate(ctx context.Context, signals p2p.Signals) (netip.AddrPort, error) {
	for {
		s, err := signals.Recv(ctx)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("signalling: %w", err)
		}
		var c candidate
		if json.Unmarshal(s.Value, &c) != nil {
			continue
		}
		if addr, err := netip.ParseAddrPort(c.Address); err == nil && Usable(addr) {
			return addr, nil
		}
	}
}
