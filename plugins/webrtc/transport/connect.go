package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
)

// label names the data channel (specification, "WebRTC details").
const label = "P2PChannel"

// setup is one Connect.
type setup struct {
	t       *Transport
	pc      *webrtc.PeerConnection
	peer    p2p.Peer
	signals p2p.Signals
	claims  []string
	socket  string // the name of the shared socket, where this connection uses it

	early      []webrtc.ICECandidateInit // of the peer, before its description
	count      int                       // candidates of the peer
	candidates chan *webrtc.ICECandidate // found here
	opened     chan *channel
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
		candidates: make(chan *webrtc.ICECandidate, maxCandidates),
		opened:     make(chan *channel, 1),
		failed:     make(chan error, 4),
	}
	c, err := s.run(ctx)
	if err == nil {
		if err = t.keep(c); err == nil {
			s.signals, s.early = nil, nil // the connection's handlers hold s for as long as it lives
			return c, nil
		}
		_ = c.Close() // which releases the claims
		s.claims = nil
	}
	if s.pc != nil {
		_ = s.pc.GracefulClose()
	}
	t.release(s.claims...)
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
		err = cause
	}
	return nil, fmt.Errorf("webrtc: connect to %s: %w", peer.Remote, err)
}

// open makes the connection; names are what it is with.
func (s *setup) open(names ...string) (err error) {
	s.claims = names
	api := s.t.apart
	if s.t.claim(names...) {
		api, s.socket = s.t.shared, s.t.id
	}
	if s.pc, err = api.NewPeerConnection(s.t.config); err != nil {
		return err
	}
	s.watch()
	return nil
}

// run exchanges the signals until the channel is open. No signal is used when it has returned.
func (s *setup) run(ctx context.Context) (*channel, error) {
	signalling, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	remote := "runtime " + string(s.peer.Remote)
	if s.peer.Role == p2p.Requester {
		if err := s.open(remote); err != nil {
			return nil, err
		}
		if err := s.offer(ctx); err != nil {
			return nil, err
		}
		wg.Go(func() { s.report(s.awaitAnswer(signalling)) })
	} else {
		offer, err := s.description(ctx, webrtc.SDPTypeOffer)
		if err != nil {
			return nil, err
		}
		if err := s.open(remote, "socket "+offer.socket); err != nil {
			return nil, err
		}
		if err := s.answer(ctx, offer); err != nil {
			return nil, err
		}
		wg.Go(func() { s.report(s.follow(signalling)) })
	}
	wg.Go(func() { s.report(s.trickle(signalling)) })
	select {
	case c := <-s.opened:
		return c, nil
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

// watch has the library tell what happens.
func (s *setup) watch() {
	s.pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c == nil {
			return
		}
		select {
		case s.candidates <- c:
		default: // more addresses than a peer would try
		}
	})
	s.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
			s.report(fmt.Errorf("the connection is %s: no pair of addresses works, or the certificate is not the one that was signalled", state))
		}
	})
	if s.peer.Role == p2p.Handler {
		s.pc.OnDataChannel(func(dc *webrtc.DataChannel) {
			if dc.Label() == label {
				s.await(dc)
			}
		})
	}
}

// await has the channel given over when it is open.
func (s *setup) await(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		raw, err := dc.Detach()
		if err != nil {
			s.report(fmt.Errorf("data channel: %w", err))
			return
		}
		stream, ok := raw.(*datachannel.DataChannel)
		if !ok {
			s.report(fmt.Errorf("data channel of unknown type %T", raw))
			return
		}
		select {
		case s.opened <- newChannel(s, stream):
		default: // a second channel of the same name
		}
	})
}

// offer makes the data channel and this side's description, as Requester.
func (s *setup) offer(ctx context.Context) error {
	dc, err := s.pc.CreateDataChannel(label, nil)
	if err != nil {
		return fmt.Errorf("data channel: %w", err)
	}
	s.await(dc)
	d, err := s.pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("offer: %w", err)
	}
	return s.describe(ctx, d)
}

// answer applies the offer and makes this side's description, as Handler.
func (s *setup) answer(ctx context.Context, offer remoteDescription) error {
	if err := s.apply(offer); err != nil {
		return err
	}
	d, err := s.pc.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return s.describe(ctx, d)
}

// describe sets and sends this side's description; gathering starts with it.
func (s *setup) describe(ctx context.Context, d webrtc.SessionDescription) error {
	if err := s.pc.SetLocalDescription(d); err != nil {
		return fmt.Errorf("own description: %w", err)
	}
	return s.signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: encodeDescription(d, s.socket)})
}

// apply sets the other side's description, and the candidates that overtook it.
func (s *setup) apply(d remoteDescription) error {
	if err := s.pc.SetRemoteDescription(d.SessionDescription); err != nil {
		return fmt.Errorf("the other side's description: %w", err)
	}
	for _, c := range s.early {
		_ = s.pc.AddICECandidate(c) // one that makes no sense must not cost the connection
	}
	s.early = nil
	return nil
}

// trickle sends candidates as they are found.
func (s *setup) trickle(ctx context.Context) error {
	for {
		select {
		case c := <-s.candidates:
			if err := s.signals.Send(ctx, p2p.Signal{Kind: p2p.Candidate, Value: encodeCandidate(c.ToJSON())}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitAnswer takes the answer and what follows it.
func (s *setup) awaitAnswer(ctx context.Context) error {
	answer, err := s.description(ctx, webrtc.SDPTypeAnswer)
	if err != nil {
		return err
	}
	if err := s.apply(answer); err != nil {
		return err
	}
	return s.follow(ctx)
}

// description receives until the other side's description is there.
func (s *setup) description(ctx context.Context, due webrtc.SDPType) (remoteDescription, error) {
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
			_ = s.pc.AddICECandidate(c)
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
func (s *setup) candidate(signal p2p.Signal) (webrtc.ICECandidateInit, bool) {
	if signal.Kind != p2p.Candidate || s.count >= maxCandidates {
		return webrtc.ICECandidateInit{}, false
	}
	s.count++
	c, err := parseCandidate(signal.Value)
	return c, err == nil
}
