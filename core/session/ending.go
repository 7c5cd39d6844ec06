package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/core/session/internal/vigil"
	"github.com/protofly/protofly/sdk/message"
)

// A session ends in one of three ways. Each leaves nothing behind, and what comes then, from either side, begins a new one.
//
// An idle one, where nobody needs it: nothing was exchanged for Options.IdleTimeout, there is no direct path, and it is clean: all
// that was sent is known to be taken, all that came was taken, and the peer has acknowledged that it knows so. What comes
// then pairs again, under another incarnation of the same life. So the peer knows that nothing which it has sent to the
// session before and has no word of was ever accepted here, and sends it again; and keys, numbers and reports of the
// session before count for nothing.
//
// One whose peer has gone, see vigil: it was asked for a sign of life and does not answer. What is kept for it is given up, and its
// senders are told. If the peer was only out of reach, and comes back in the same life, it meets another life of this runtime: what
// it had sent and has no word of is in doubt there.
//
// One that is forsaken, where the table is full: see forsaken.

// clean tells whether nothing would be lost or told wrongly if the session were dropped.
func (m *machine) clean() bool { return m.still() && m.ledger.Empty() }

// still is clean where the peer may not know of everything that was taken here.
func (m *machine) still() bool {
	return m.empty() && !(m.closing || m.turn.Running() || m.turn.Sending() || m.send.Waiting() > 0 || !m.send.Empty() || m.send.Outstanding() > 0 ||
		m.recv.Owes() || m.tell.Owes())
}

// empty tells whether there is nothing of the peer that waits here, nor a handshake with it.
func (m *machine) empty() bool {
	return !(m.gone || m.pair.Peer() == 0 || m.pair.Opening() || m.delivering || m.recv.Busy() || m.recv.Cost() != 0 || m.recv.Backlog() > 0)
}

// idle tells whether nobody needs the session, where nothing was exchanged for that time.
func (m *machine) idle(least, now time.Duration) bool {
	return now-m.usedAt() >= least && !m.paths.Used().Direct && m.clean()
}

// forsaken tells whether a session is kept for nothing but a peer that does not acknowledge what it is told, for so long
// that it has given up what it has sent: messages of its own are in doubt there already.
func (m *machine) forsaken(now time.Duration) bool {
	most := outcomes.Silence(m.o.TTL)
	return most > 0 && now-m.heardAt() >= most && m.still()
}

// look tells whether the peer has gone, and has it asked for a sign of life where that is not known. exchanged is how many messages
// there were; keeps: something else is kept for the peer than what the session has.
func (m *machine) look(exchanged uint64, keeps bool, now time.Duration) (gone bool) {
	m.vigil.Used(exchanged, m.heardAt(), now)
	if m.gone || m.closing || m.pair.Peer() == 0 {
		return false
	}
	clean := m.clean()
	if clean && m.paths.Used().Direct {
		return false // the transport notices
	}
	switch m.vigil.Look(m.heardAt(), !m.paths.None(), keeps || !clean || m.paths.None(), now) {
	case vigil.Gone:
		return m.empty()
	case vigil.Ask:
		m.paths.Probe()
		m.poke()
	}
	return false
}

// away notes that the Message Node behind a stub has said that the peer is not connected.
func (m *machine) away(stub message.URL, now time.Duration) {
	if used := m.paths.Used(); used.Stub == stub && !used.Direct {
		m.vigil.Away(now)
	}
}

// drop forgets a session that has nothing to do.
func (m *machine) drop() {
	m.event(Event{Kind: Idle, Path: m.paths.Used(), Why: "nothing was said for long"})
	m.end()
}

// bury forgets a session whose peer has gone, and gives up what is kept for it. Posters that wait begin the next one.
func (m *machine) bury(now time.Duration) {
	const why = "the remote runtime has gone: it does not answer, and its Message Node does not know it or cannot be asked"
	m.gone = true // nobody is let in any more
	m.given(m.send.DropAll(), Expired, why, now)
	m.event(Event{Kind: Gone, Path: m.paths.Used(), Why: why})
	m.hunger(false)
	m.tell.Hold() // nothing more is put into the ring
	m.send.Rest()
	m.end()
}

// end has the session leave its path and the table.
func (m *machine) end() {
	m.paths.Leave()
	m.forget()
	if m.ended != nil {
		close(m.ended)
		m.ended = nil
	}
}
