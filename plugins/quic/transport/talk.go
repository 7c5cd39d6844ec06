package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/protofly/protofly/sdk/p2p"
)

// talk is the signalling of one set-up. One goroutine sends and one receives, so that each side's signals keep their order
// and neither direction waits for the other.
type talk struct {
	t       *Transport
	peer    string // the runtime at the other end
	signals p2p.Signals
	here    network
	aims    *aims
	news    chan news  // the peer's signals
	failed  chan error // why the signalling cannot go on; has room for both goroutines
	work    sync.WaitGroup
}

// news is one signal of the peer: its description, or a candidate.
type news struct {
	description *description
	candidate   candidate
}

func newTalk(t *Transport, peer string, signals p2p.Signals) *talk {
	here := t.survey()
	return &talk{t: t, peer: peer, signals: signals, here: here, aims: newAims(t, peer, here), news: make(chan news), failed: make(chan error, 2)}
}

// wait waits for the goroutines, whose context has ended. After that this set-up sends no more to the peer's addresses.
func (k *talk) wait() {
	k.work.Wait()
	k.aims.leave()
}

// listen starts to receive the peer's signals, until ctx ends. The first is its description; at most maxCandidates follow.
func (k *talk) listen(ctx context.Context) {
	k.work.Go(func() {
		if err := k.hear(ctx); err != nil {
			k.failed <- err
		}
	})
}

// hear receives the peer's signals. It returns an error only before the description: after that, a set-up goes on with the
// candidates that it has.
func (k *talk) hear(ctx context.Context) error {
	first, err := k.signals.Recv(ctx)
	if err != nil {
		return fmt.Errorf("wait for the peer's description: %w", err)
	}
	if first.Kind != p2p.Description {
		return errors.New("the peer's first signal is not its description")
	}
	theirs, err := parseDescription(first.Value)
	if err != nil {
		return fmt.Errorf("the peer's %w", err)
	}
	if theirs.certificate == k.t.hash {
		return errors.New("the peer's description shows this process' own certificate")
	}
	k.tell(ctx, news{description: &theirs})
	for range maxCandidates {
		s, err := k.signals.Recv(ctx)
		if err != nil {
			if ctx.Err() == nil {
				k.t.log.Debug("the peer's candidates have ended", "error", err)
			}
			return nil
		}
		if s.Kind != p2p.Candidate {
			continue
		}
		c, err := parseCandidate(s.Value)
		if err != nil {
			k.t.log.Debug("a peer's candidate is ignored", "error", err)
			continue
		}
		k.tell(ctx, news{candidate: c})
	}
	return nil
}

func (k *talk) tell(ctx context.Context, n news) {
	select {
	case k.news <- n:
	case <-ctx.Done():
	}
}

// speak starts to send this side's description, with the token, and then the addresses that STUN servers find.
func (k *talk) speak(ctx context.Context, name token) {
	k.work.Go(func() {
		found := k.t.reflexive(ctx)
		defer func() {
			for range found { // it ends with its servers, or with ctx
			}
		}()
		mine := description{certificate: k.t.hash, token: name, candidates: k.here.hosts}
		if err := k.signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: mine.encode()}); err != nil {
			k.failed <- fmt.Errorf("send the description: %w", err)
			return
		}
		known := make(map[candidate]bool)
		for _, c := range k.here.hosts {
			known[candidate{kind: typeReflexive, address: c.address}] = true
		}
		for at := range found {
			c := candidate{kind: typeReflexive, address: at}
			if known[c] {
				continue
			}
			known[c] = true
			if !k.send(ctx, c) {
				return
			}
		}
		k.send(ctx, candidate{kind: typeEnd})
	})
}

// send sends a candidate. A failure does not end the set-up, since the addresses that were sent may work.
func (k *talk) send(ctx context.Context, c candidate) bool {
	err := k.signals.Send(ctx, p2p.Signal{Kind: p2p.Candidate, Value: c.encode()})
	if err != nil && ctx.Err() == nil {
		k.t.log.Debug("a candidate could not be sent", "error", err)
	}
	return err == nil
}
