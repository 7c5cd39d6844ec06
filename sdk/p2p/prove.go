package p2p

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/protofly/protofly/sdk/proof"
)

// proofHeader begins the first frame of each side in a channel; the signature of the channel follows, and nothing else.
const proofHeader = "protofly p2p proof\x00\x01"

// errProofTime is why a set-up ends in which the other side has connected and then sends nothing.
var errProofTime = fmt.Errorf("the other side has not proven itself in the channel within %v", proofTime)

// proven waits for the transport's channel, and until both sides have proven themselves in it.
func (s *setup) proven() (Channel, error) {
	c, err := s.channel()
	if err != nil {
		return nil, err
	}
	if err := s.prove(c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// prove sends the other side a signature of everything that was said in this set-up, and checks the other side's. So the other end
// of the channel is at the runtime with which the set-up was made, whatever the transport has done with the signals. The
// signature is the first frame in each direction; frames of the core follow when both are good.
func (s *setup) prove(c Channel) error {
	// An error ends the set-up before the channel is closed: what the other side does about that must not become the reason.
	late := time.AfterFunc(proofTime, func() { s.cancel(errProofTime) })
	defer late.Stop()
	shown := make(chan error, 1)
	go func() {
		err := s.show(c)
		if err != nil {
			s.cancel(err) // the other side's proof would be of no use
		}
		shown <- err
	}()
	frame, err := c.Recv(s.ctx)
	if err == nil {
		err = s.check(frame)
	}
	if err == nil {
		return <-shown
	}
	if cause := context.Cause(s.ctx); cause != nil {
		err = cause
	} else if errors.Is(err, io.EOF) {
		err = errors.New("the other side has closed the channel instead of proving itself")
	}
	s.cancel(err)
	_ = c.Close() // frees a Send
	<-shown
	return err
}

// show sends this side's proof.
func (s *setup) show(c Channel) error {
	select {
	case mine := <-s.ticket:
		if mine.err != nil {
			return fmt.Errorf("this runtime has not signed the channel: %w", mine.err)
		}
		return c.Send(s.ctx, append([]byte(proofHeader), mine.signature...))
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// check checks the other side's proof.
func (s *setup) check(frame []byte) error {
	signature, err := parseProofFrame(frame)
	if err == nil {
		s.mu.Lock()
		said := s.said
		s.mu.Unlock()
		err = proof.VerifyP2P(proof.Channel, s.peer.Remote, s.peer.Local, s.peer.Role == Handler, said.answer, said.key, signature)
	}
	if err != nil {
		return fmt.Errorf("the other side of the channel is not proven to be %s: %w", s.peer.Remote, err)
	}
	return nil
}

// parseProofFrame returns the signature in a proof. It is a part of the frame.
func parseProofFrame(frame []byte) ([]byte, error) {
	signature, ok := bytes.CutPrefix(frame, []byte(proofHeader))
	if !ok || len(signature) != ed25519.SignatureSize {
		return nil, fmt.Errorf("its first frame, of %d bytes, is no proof", len(frame))
	}
	return signature, nil
}
