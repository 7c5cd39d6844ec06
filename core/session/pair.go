package session

import (
	"errors"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/pairing"
	"github.com/protofly/protofly/internal/runtimekey"
)

// adopted begins with another peer than before, or with other keys of the same. Messages that were sent to the one before
// are in doubt; those that never were stay in the ring and go to the new one. Numbers go on, so that none is ever used
// twice. Where the peer is in the same life it has dropped the session before, and has accepted nothing that it has not
// told of.
func (m *machine) adopted(before uint64, now time.Duration) {
	switch {
	case before == m.pair.Peer():
		m.send.Rewind()
		m.recv.Acknowledge()
		m.recv.Resume()
		m.restartProbe(now)
		m.poke()
		return
	case before == 0:
		m.event(Event{Kind: Opened, Path: m.paths.Used()})
	case handshake.SameLife(before, m.pair.Peer()):
		m.forgetClaims()
		m.newLedger(now)
		m.given(m.send.DropAcknowledged(), Expired, "the remote runtime had it, and has dropped the session", now)
		m.event(Event{Kind: Renewed, Path: m.paths.Used()})
	default:
		m.count.resets++
		m.forgetClaims()
		m.newLedger(now)
		m.reset(now)
	}
	m.ledger.Tells(m.pair.TellsRefusals())
	m.send.Restart()
	m.recv.Restart()
	m.paths.NewPeer()
	if before != 0 && !handshake.SameLife(before, m.pair.Peer()) {
		m.leaveLife(now)
	}
	m.restartProbe(now)
	m.poke()
}

// forgetClaims forgets what this side and the peer's last session have told each other of addresses.
func (m *machine) forgetClaims() {
	m.send.ForgetAnnounced()
	m.recv.ForgetClaims()
}

// reset reports what the peer's last life was sent and is not known to have taken.
func (m *machine) reset(now time.Duration) {
	d := m.send.DropSent()
	m.given(d, Reset, "the remote runtime started again", now)
	if len(d.Sent) == 0 {
		m.event(Event{Kind: Reset, Path: m.paths.Used(), Why: "the remote runtime started again"})
	}
}

// disturbed does what something asks for that has come by path, and that anybody can have sent.
func (m *machine) disturbed(path Path, c pairing.Change, now time.Duration) {
	m.changed(c, now)
	if c.Wake {
		m.poke()
	}
	if len(c.Replies) > 0 && !m.paths.Uses(path) {
		m.todo.aside = append(m.todo.aside, aside{path, c.Replies})
	}
}

// leaveLife leaves a direct path that was the last life's of the peer: its end there is gone, whatever the stub here believes. The
// new life is where its handshake came from.
func (m *machine) leaveLife(now time.Duration) {
	used, to := m.paths.Used(), m.paths.LastIn()
	if !used.Direct || to.IsZero() || used == to {
		return
	}
	m.event(Event{Kind: Left, Path: used, Why: "the remote runtime started again"})
	m.lose(used, "the remote runtime started again", now)
	m.switchTo(to, now)
}

// changed does what a change of the pairing asks for.
func (m *machine) changed(c pairing.Change, now time.Duration) {
	if c.Dropped {
		m.count.dropped++
	}
	if c.Probe {
		m.paths.Ask()
	}
	if c.Answer {
		m.recv.Acknowledge()
	}
	if e, ok := impostor(c.Refused); ok {
		e.Path = m.paths.LastIn()
		m.event(e)
	}
	if c.Adopted {
		m.adopted(c.Before, now)
	}
}

// impostor is the event of a handshake that has failed with err, where somebody has not proven to be who it says.
func impostor(err error) (Event, bool) {
	if !errors.Is(err, runtimekey.ErrCertificate) {
		return Event{}, false
	}
	return Event{Kind: Untrusted, Why: err.Error() + ": somebody on the way pretends to be this runtime, or its data is damaged; no message was exchanged with it"}, true
}
