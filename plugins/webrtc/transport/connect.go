package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/pion/ice/v2"

	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

// setup is one Connect.
type setup struct {
	t       *Transport
	peer    p2p.Peer
	signals p2p.Signals
	claims  []string
	socket  string // the name of the shared socket, where this connection uses it

	link  *link
	watch *watch
	own   session          // of this side
	reach reach.Candidates // that the peer has named

	early      []string           // candidates of the peer, before its description
	count      int                // candidates of the peer
	candidates chan ice.Candidate // found here
	opened     chan opened
	failed     chan error
}

// Connect sets up one channel; see [p2p.Transport].
func (t *Transport) Connect(ctx context.Context, peer p2p.Peer, signals p2p.Signals) (p2p.Channel, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.wg.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(errClosed) })()
	s := &setup{
		t: t, peer: peer, signals: signals,
		reach:      reach.Candidates{Policy: t.policy},
		candidates: make(chan ice.Candidate, maxCandidates),
		opened:     make(chan opened, 1),
		failed:     make(chan error, 4),
	}
	s.watch = &watch{tell: s.report}
	c, err := s.run(ctx)
	if err == nil {
		if err = t.keep(c); err == nil {
			s.signals, s.early = nil, nil // the connection's handlers hold s for as long as it lives
			return c, nil
		}
		_ = c.Close() // which releases the claims
		s.claims = nil
	}
	if s.link != nil {
		s.link.shut()
	}
	t.release(s.claims...)
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
		err = cause
	}
	return nil, fmt.Errorf("webrtc: connect to %s: %w", peer.Remote, err)
}

// open makes what the connection runs over; names are what it is with. mid names the media section.
func (s *setup) open(mid string, names ...string) error {
	s.claims = names
	shared := s.t.claim(names...)
	if shared {
		s.socket = s.t.id
	}
	agent, err := s.t.agent(s.peer, shared)
	if err != nil {
		return err
	}
	s.link = &link{agent: agent}
	s.own = session{fingerprints: s.t.fingerprints, mid: mid}
	if s.own.ufrag, s.own.password, err = agent.GetLocalUserCredentials(); err != nil {
		return err
	}
	if err := agent.OnCandidate(s.found); err != nil {
		return err
	}
	return agent.OnConnectionStateChange(s.changed)
}

// found takes an address of this side.
func (s *setup) found(c ice.Candidate) {
	if c == nil {
		return
	}
	select {
	case s.candidates <- c:
	default: // more addresses than a peer would try
	}
}

// changed takes what becomes of the way to the peer.
func (s *setup) changed(state ice.ConnectionState) {
	if state == ice.ConnectionStateFailed {
		s.watch.end(errUnanswered)
	}
}

// errUnanswered is the end of a link, and of the attempt to have one.
var errUnanswered = errors.New("the peer does not answer, or not any more: no pair of addresses works")

// run exchanges the signals until the channel is open. No signal is used when it has returned.
func (s *setup) run(ctx context.Context) (*channel, error) {
	signalling, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	remote := "runtime " + string(s.peer.Remote)
	if s.peer.Role == p2p.Requester {
		if err := s.open("0", remote); err != nil {
			return nil, err
		}
		if err := s.describe(ctx, "offer", "actpass"); err != nil {
			return nil, err
		}
		wg.Go(func() {
			answer, err := s.awaitAnswer(signalling)
			if err != nil {
				s.report(err)
				return
			}
			wg.Go(func() { s.report(s.establish(signalling, answer)) })
			s.report(s.follow(signalling))
		})
	} else {
		offer, err := s.description(ctx, "offer")
		if err != nil {
			return nil, err
		}
		if err := s.open(offer.mid, remote, "socket "+offer.socket); err != nil {
			return nil, err
		}
		if err := s.answer(ctx, offer); err != nil {
			return nil, err
		}
		wg.Go(func() { s.report(s.establish(signalling, offer)) })
		wg.Go(func() { s.report(s.follow(signalling)) })
	}
	wg.Go(func() { s.report(s.trickle(signalling)) })
	select {
	case o := <-s.opened:
		return newChannel(s, o.stream, o.guard), nil
	case err := <-s.failed:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// report ends the set-up with an error that is not only the end of the signalling.
func (s *setup) report(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	select {
	case s.failed <- err:
	default:
	}
}

// answer takes the offer and makes this side's description, as Handler.
func (s *setup) answer(ctx context.Context, offer remoteDescription) error {
	client, err := s.role(offer)
	if err != nil {
		return err
	}
	s.apply(offer)
	if client {
		return s.describe(ctx, "answer", "active")
	}
	return s.describe(ctx, "answer", "passive")
}

// describe sends this side's description, and begins to look for its addresses.
func (s *setup) describe(ctx context.Context, kind, setup string) error {
	s.own.setup = setup
	value := encodeDescription(kind, s.own.text(rand.Uint64()), s.socket)
	if err := s.signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: value}); err != nil {
		return err
	}
	return s.link.agent.GatherCandidates()
}

// apply takes the candidates of the other side's description, and those that overtook it.
func (s *setup) apply(d remoteDescription) {
	for _, c := range append(d.candidates, s.early...) {
		s.named(c)
	}
	s.early = nil
}

// trickle sends candidates as they are found.
func (s *setup) trickle(ctx context.Context) error {
	for {
		select {
		case c := <-s.candidates:
			if err := s.signals.Send(ctx, p2p.Signal{Kind: p2p.Candidate, Value: encodeCandidate(c)}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitAnswer takes the answer.
func (s *setup) awaitAnswer(ctx context.Context) (remoteDescription, error) {
	answer, err := s.description(ctx, "answer")
	if err == nil {
		s.apply(answer)
	}
	return answer, err
}

// description receives until the other side's description is there.
func (s *setup) description(ctx context.Context, due string) (remoteDescription, error) {
	for {
		signal, err := s.receive(ctx)
		if err != nil {
			return remoteDescription{}, err
		}
		if signal.Kind == p2p.Description {
			return parseDescription(signal.Value, due)
		}
		if c, ok := s.candidate(signal); ok {
			s.early = append(s.early, c)
		}
	}
}

// follow takes the candidates that come after the description.
func (s *setup) follow(ctx context.Context) error {
	for {
		signal, err := s.receive(ctx)
		if err != nil {
			return err
		}
		if c, ok := s.candidate(signal); ok {
			s.named(c)
		}
	}
}

func (s *setup) receive(ctx context.Context) (p2p.Signal, error) {
	signal, err := s.signals.Recv(ctx)
	if errors.Is(err, io.EOF) {
		return signal, errors.New("the other side ended the set-up")
	}
	return signal, err
}

// candidate reads a candidate of the peer; what makes no sense, or is too many, is left out.
func (s *setup) candidate(signal p2p.Signal) (string, bool) {
	if signal.Kind != p2p.Candidate || s.count >= maxCandidates {
		return "", false
	}
	s.count++
	c, err := parseCandidate(signal.Value)
	return c, err == nil
}
