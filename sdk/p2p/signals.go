package p2p

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// signals is the [Signals] that a transport is given for a set-up.
type signals struct{ s *setup }

// Send writes the signal into this side's Connection object.
func (x signals) Send(ctx context.Context, sig Signal) error {
	s := x.s
	if s.ctx.Err() != nil {
		return fmt.Errorf("signalling to %s: %w", s.peer.Remote, context.Cause(s.ctx))
	}
	s.mu.Lock()
	err := checkSignal(sig, s.sent)
	if err == nil && s.size+len(sig.Value) > maxSignals {
		err = fmt.Errorf("description and candidates of more than %d bytes", maxSignals)
	}
	if err == nil {
		s.sent++
		s.size += len(sig.Value)
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("signalling to %s: %w", s.peer.Remote, err)
	}
	if sig.Kind == Candidate {
		return s.mine.Add(ctx, attributeCandidates, sig.Value)
	}
	if err := s.describe(ctx, sig.Value); err != nil {
		return fmt.Errorf("signalling to %s: %w", s.peer.Remote, err)
	}
	close(s.described)
	return nil
}

// describe puts the description into this side's object, after its proof.
func (s *setup) describe(ctx context.Context, description json.RawMessage) (err error) {
	if description, err = canonical(description); err != nil {
		return err
	}
	if err := s.attest(ctx, description); err != nil {
		return err
	}
	return s.mine.Set(ctx, attributeDescription, description)
}

// checkSignal tells whether a transport may send the signal after n others.
func checkSignal(sig Signal, n int) error {
	var object map[string]json.RawMessage
	limit := MaxDescription
	switch {
	case sig.Kind != Description && sig.Kind != Candidate:
		return fmt.Errorf("signal kind %d is not one", sig.Kind)
	case (sig.Kind == Description) != (n == 0):
		return errors.New("the first signal, and no other, is the description")
	case n > MaxCandidates:
		return fmt.Errorf("more than %d candidates", MaxCandidates)
	}
	if sig.Kind == Candidate {
		limit = MaxCandidate
	}
	if len(sig.Value) > limit {
		return fmt.Errorf("a signal of %d bytes, at most %d are allowed", len(sig.Value), limit)
	}
	if json.Unmarshal(sig.Value, &object) != nil {
		return errors.New("a signal's value is a JSON object")
	}
	return nil
}

// Recv waits for the next signal that the other side's object has.
func (x signals) Recv(ctx context.Context) (Signal, error) {
	select {
	case sig := <-x.s.inbox:
		return sig, nil
	case <-ctx.Done():
		return Signal{}, ctx.Err()
	case <-x.s.ctx.Done():
		return Signal{}, context.Cause(x.s.ctx)
	}
}
