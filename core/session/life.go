package session

import (
	"context"
	"hash/maphash"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/sdk/message"
)

func newSession(all *shared, in table, remote message.URL, l *handshake.Local) *session {
	s := &session{
		all: all, table: in, o: &all.o, remote: remote,
		signals: newSignals(),
		send:    sender.New(sender.Options{RingBytes: all.o.RingBytes, FrameBytes: all.o.FrameBytes, InboxBytes: all.o.InboxBytes, TTL: all.o.TTL}),
		recv:    receiver.New(receiver.Options{InboxBytes: all.o.InboxBytes, AckFrames: all.o.Acks.Frames, AckDelay: all.o.Acks.Delay, Claims: all.o.Announced != nil}),
		paths: paths.New(paths.Options{
			ProbeMin: all.o.Paths.ProbeMin, ProbeMax: all.o.Paths.ProbeMax, Stall: all.o.Paths.Stall,
			AsidePause: all.o.Acks.Delay, AsideCount: all.o.Acks.Frames, AsideBytes: all.o.InboxBytes / 8,
		}),
		tell: outcomes.New(outcomes.Options{TTL: all.o.TTL, Delay: all.o.Acks.Delay, Forgiven: all.o.Linger}),
		pair: pairing.New(pairing.Options{ProbeMin: all.o.Paths.ProbeMin, ProbeMax: all.o.Paths.ProbeMax, Keys: all.o.keyLimits()}, all.self, remote, l),
	}
	s.turn.run = s.pump
	s.ledger = outcomes.NewLedger(host{s}, all.o.InboxBytes)
	s.out = deliver.New(all.life, deliver.Options{Acceptor: all.o.Acceptor, Trace: all.o.Trace}, host{s}, remote, uint32(maphash.String(all.seed, string(remote))))
	return s
}

// settle waits until the session is quiet, or ctx ends.
func (s *session) settle(ctx context.Context) {
	l := s.lock()
	s.closing = true
	s.recv.AcknowledgeOwed()
	s.tell.HurryOwed()
	done := make(chan struct{})
	s.settled = done
	l.poke()
	l.unlock()
	select {
	case <-done:
	case <-ctx.Done():
	case <-s.all.life.Done():
	}
}

// stop keeps goroutines from starting.
func (s *session) stop() {
	l := s.lock()
	s.closed = true
	l.unlock()
}

// abandon reports and drops what was not taken when everything has ended. It returns how many messages were not even
// acknowledged.
func (s *session) abandon() int {
	l := s.lock()
	defer l.unlock()
	s.way.quit()
	n := s.send.Unacked()
	l.given(s.send.DropAll(), Closed, "this runtime ends")
	s.send.Rest()
	return n
}
