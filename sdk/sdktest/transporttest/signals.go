package transporttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/p2p"
)

// wire is the signalling between two sides, in memory.
type wire struct{ a, b *end }

// end is one side's Signals. It keeps the limits that the Connection data object has.
type end struct {
	t       testing.TB
	name    string
	in, out *letters
	delay   time.Duration
	spoil   func(json.RawMessage) json.RawMessage   // changes the description that this side sends
	mix     func(json.RawMessage) []json.RawMessage // makes others of a candidate that this side sends
	over    atomic.Bool                             // Connect has returned
	mu      sync.Mutex
	sent    int // signals
}

func newWire(t testing.TB, delay time.Duration) *wire {
	there, back := newLetters(), newLetters()
	return &wire{
		a: &end{t: t, name: "requester", in: back, out: there, delay: delay},
		b: &end{t: t, name: "handler", in: there, out: back, delay: delay},
	}
}

// Send checks the signal and hands it over.
func (e *end) Send(ctx context.Context, s p2p.Signal) error {
	if e.over.Load() {
		e.t.Errorf("%s: Signals.Send was called after Connect had returned", e.name)
		return errors.New("the set-up is over")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.check(s); err != nil {
		e.t.Errorf("%s: %v", e.name, err)
		return err
	}
	e.sent++
	if s.Kind == p2p.Description && e.spoil != nil {
		s.Value = e.spoil(s.Value)
	}
	s.Value = bytes.Clone(s.Value) // the sender may reuse its bytes
	values := []json.RawMessage{s.Value}
	if s.Kind == p2p.Candidate && e.mix != nil {
		values = e.mix(s.Value)
	}
	for _, v := range values {
		e.out.put(letter{p2p.Signal{Kind: s.Kind, Value: v}, time.Now().Add(e.delay)})
	}
	return nil
}

func (e *end) check(s p2p.Signal) error {
	var object map[string]json.RawMessage
	switch {
	case s.Kind != p2p.Description && s.Kind != p2p.Candidate:
		return errors.New("a signal is a Description or a Candidate")
	case (s.Kind == p2p.Description) != (e.sent == 0):
		return errors.New("the first signal is the description, the others are candidates")
	case s.Kind == p2p.Description && len(s.Value) > p2p.MaxDescription:
		return errors.New("the description is too large")
	case s.Kind == p2p.Candidate && len(s.Value) > p2p.MaxCandidate:
		return errors.New("a candidate is too large")
	case e.sent > p2p.MaxCandidates:
		return errors.New("too many candidates")
	case json.Unmarshal(s.Value, &object) != nil:
		return errors.New("a signal's value is not a JSON object")
	}
	return nil
}

// Recv waits for the other side's next signal.
func (e *end) Recv(ctx context.Context) (p2p.Signal, error) {
	if e.over.Load() {
		e.t.Errorf("%s: Signals.Recv was called after Connect had returned", e.name)
		return p2p.Signal{}, errors.New("the set-up is over")
	}
	l, err := e.in.take(ctx)
	if err != nil {
		return p2p.Signal{}, err
	}
	late := time.NewTimer(time.Until(l.at))
	defer late.Stop()
	select {
	case <-late.C:
		return l.signal, nil
	case <-ctx.Done():
		return p2p.Signal{}, ctx.Err()
	}
}

type letter struct {
	signal p2p.Signal
	at     time.Time // not to be read earlier
}

// letters is one direction of a wire. It holds as much as a Connection data object: a sender never waits.
type letters struct{ box chan letter }

func newLetters() *letters { return &letters{make(chan letter, 1+p2p.MaxCandidates)} }

func (l *letters) put(one letter) {
	select {
	case l.box <- one:
	default: // beyond the limit; end.check has said so
	}
}

func (l *letters) take(ctx context.Context) (letter, error) {
	select {
	case one := <-l.box:
		return one, nil
	case <-ctx.Done():
		return letter{}, ctx.Err()
	}
}

var hash = regexp.MustCompile(`(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}`)

// spoilHashes is the default of Suite.Spoil.
func spoilHashes(description json.RawMessage) json.RawMessage {
	return hash.ReplaceAllFunc(description, func(found []byte) []byte {
		return bytes.Map(func(r rune) rune {
			switch {
			case r == '9':
				return '0'
			case r >= '0' && r < '9':
				return r + 1
			}
			return r
		}, found)
	})
}
