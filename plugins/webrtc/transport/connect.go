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
	"github.com/protofly/protofly/sdk/udp/reach"
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
	socket  string // the name of the shared socket, if this connection uses it

	meter *meter
	watch *watch
	taken bool             // the peer has opened the data channel
	reach reach.Candidates // the addresses that the peer has named

	early      []string                  // candidates of the peer that came before its description
	count      int                       // number of the peer's candidates
	candidates chan *webrtc.ICECandidate // this side's candidates
	opened     chan *channel
	failed     chan error
}

// Connect sets up one channel; see [p2p.Transport].
func (t *Transport) Connect(ctx context.Context, peer p2p.Peer, signals p2p.Signals) (p2p.Channel, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.wg.Done()
	if err := t.begin(); err != nil {
		return nil, fmt.Errorf("webrtc: connect to %s: %w", peer.Remote, err)
	}
	defer t.begun()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(errClosed) })()
	s := &setup{
		t: t, peer: peer, signals: signals,
		reach:      reach.Candidates{Policy: t.policy},
		candidates: make(chan *webrtc.ICECandidate, maxCandidates),
		opened:     make(chan *channel, 1),
		failed:     make(chan error, 4),
	}
	s.watch = &watch{tell: s.report}
	c, err := s.run(ctx)
	if err == nil {
		if err = t.keep(c); err == nil {
			s.signals, s.early = nil, nil // the connection's handlers refer to s until its end
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

// open makes the connection. names are the names to claim for it: see Transport.claim.
func (s *setup) open(names ...string) (err error) {
	s.claims = names
	shared := s.t.claim(names...)
	if shared {
		s.socket = s.t.id
	}
	s.meter = &meter{fail: s.watch.end, weigh: s.t.weigh}
	if s.pc, err = s.t.connection(s.peer, shared, s.meter); err != nil {
		return err
	}
	s.meter.measure(s.t, s.pc)
	s.handleEvents()
	return nil
}

// run exchanges the signals until the channel is open. It does not use signals after it has returned.
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

// report ends the set-up with an error, unless that only says that the signalling has ended.
func (s *setup) report(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the peer has ended the connection")
	}
	select {
	case s.failed <- err:
	default:
	}
}

// handleEvents sets the library's event handlers.
func (s *setup) handleEvents() {
	s.pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c == nil {
			return
		}
		select {
		case s.candidates <- c:
		default: // more candidates than a peer would try
		}
	})
	t, m, w, remote := s.t, s.meter, s.watch, s.peer.Remote // so that the handlers do not keep s
	s.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			m.settled.Store(true)
			t.mux.proven(remote)
		case webrtc.PeerConnectionStateFailed:
			w.end(errUnanswered)
		case webrtc.PeerConnectionStateClosed:
			w.end(io.EOF)
		}
	})
	s.pc.SCTP().OnError(func(err error) {
		// Not p2p.ErrBroken: a peer that ends in the middle of a packet may cause it too.
		w.end(fmt.Errorf("the peer broke the protocol: it uses a stream that is not the data channel's: %w", err))
	})
	s.pc.OnDataChannel(s.takes)
}

// errUnanswered is why a connection, or the attempt to make one, has ended.
var errUnanswered = errors.New("no pair of addresses works, or not any more, or the certificate is not the one that was signalled")

var errSecondChannel = fmt.Errorf("%w: it opens a second data channel", p2p.ErrBroken)

// takes accepts the peer's data channel. It must be the one that the specification names, and the only one.
func (s *setup) takes(dc *webrtc.DataChannel) {
	if err := checkChannel(dc); err != nil {
		s.watch.end(fmt.Errorf("%w: %w", p2p.ErrBroken, err))
		return
	}
	if s.peer.Role != p2p.Handler || s.taken {
		s.watch.end(errSecondChannel)
		return
	}
	s.taken = true
	s.await(dc)
}

// checkChannel checks that a data channel is the one that the specification names: ordered, reliable, without a protocol.
func checkChannel(dc *webrtc.DataChannel) error {
	switch {
	case dc.Label() != label:
		return fmt.Errorf("it opens the data channel %.40q instead of %q", dc.Label(), label)
	case dc.Protocol() != "":
		return fmt.Errorf("it opens a data channel with the protocol %.40q instead of none", dc.Protocol())
	case !dc.Ordered() || dc.MaxRetransmits() != nil || dc.MaxPacketLifeTime() != nil:
		return errors.New("it opens a data channel that is not ordered and reliable")
	}
	return nil
}

// await passes the channel to s.opened when it is open.
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
		s.opened <- newChannel(s, stream) // does not block, since there is only one
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
	return s.signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: encodeDescription(d.Type.String(), d.SDP, s.socket)})
}

// apply sets the other side's description, as parsed, and its candidates, also those that came before it.
func (s *setup) apply(d remoteDescription) error {
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: d.kind, SDP: d.text()}); err != nil {
		return fmt.Errorf("the other side's description: %w", err)
	}
	for _, c := range append(d.candidates, s.early...) {
		s.named(c)
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

// awaitAnswer receives the answer and the candidates after it.
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

// follow receives the candidates that come after the description.
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

// candidate reads a candidate of the peer. ok is false if it is invalid or one too many.
func (s *setup) candidate(signal p2p.Signal) (string, bool) {
	if signal.Kind != p2p.Candidate || s.count >= maxCandidates {
		return "", false
	}
	s.count++
	c, err := parseCandidate(signal.Value)
	return c, err == nil
}
