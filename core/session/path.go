package session

import (
	"context"
	"time"
)

// switchTo makes path the one in use and starts a new generation on it: it begins with a RESUME, and everything that is not
// acknowledged is sent again behind it.
func (m *machine) switchTo(path Path, now time.Duration) {
	if !m.paths.Uses(path) {
		m.send.AnnounceAgain() // the peer may have forgotten what it heard on a path that it does not keep addresses for
		m.moveTo(path, now)
	}
}

// moveTo is switchTo where the addresses that the peer has to be told of are announced already.
func (m *machine) moveTo(path Path, now time.Duration) {
	before := m.paths.Used()
	m.paths.Use(path)
	m.event(Event{Kind: Switched, Path: path, Before: before})
	m.send.Rewind()
	if m.pair.Peer() != 0 {
		m.recv.Resume()
	}
	m.restartProbe(now)
	m.pair.NewPath(now)
}

// lose leaves path where it is in use; the pump then asks for another. It is false where path was not.
func (m *machine) lose(path Path, why string, now time.Duration) bool {
	if !m.paths.Lose(path, now) {
		return false
	}
	m.event(Event{Kind: PathLost, Path: path, Why: why})
	return true
}

// follow leaves a path that the peer has left.
func (m *machine) follow(now time.Duration) {
	to, away := m.paths.Follow()
	if m.closed || !away {
		return
	}
	path := m.paths.Used()
	m.event(Event{Kind: Left, Path: path, Why: "the other side has left it"})
	m.lose(path, "the other side has left it", now)
	m.switchTo(to, now)
	m.poke()
}

// stuck leaves a path that does not take a batch, as if it had failed. It says when to look again, 0: never.
func (m *machine) stuck(now time.Duration) time.Duration {
	if !m.turn.On(m.paths.Number()) {
		return 0
	}
	if due := m.stuckDue(); now < due {
		return due - now
	}
	path := m.paths.Used()
	m.event(Event{Kind: Stalled, Path: path, Why: "takes no frames"})
	m.lose(path, "takes no frames", now)
	return 0
}

// stuckDue is when what is being sent has taken too long.
func (m *machine) stuckDue() time.Duration {
	return m.turn.StuckDue(m.o.Paths.Stall, m.paths.StallDue())
}

// routed takes what is said to be the best path, where ok. It was asked for while path number was in use; where another one is
// used by now, which may be better than the one that was the best then, the best one is asked for again.
func (m *machine) routed(path Path, ok bool, number uint64, now time.Duration) {
	if m.paths.Number() != number {
		m.paths.AskAgain()
		return
	}
	if use := m.paths.Routed(path, ok, now); !use.IsZero() {
		m.switchTo(use, now)
	}
}

// restartProbe begins to wait for an acknowledgement anew.
func (m *machine) restartProbe(now time.Duration) { m.paths.Restart(m.waits(), now) }

// again has what is not acknowledged sent again on the path in use, and asks for what is missing here: frames that were under
// way may be lost.
func (m *machine) again(now time.Duration) {
	m.send.Rewind()
	if m.pair.Peer() != 0 {
		m.recv.Resume()
	}
	m.restartProbe(now)
	m.poke()
}

// inUse is what is held of the path in use.
type inUse struct {
	number uint64          // see paths.Number
	life   context.Context // of what is being sent by it
	leave  context.CancelFunc
	left   *time.Timer // has the session follow the peer, which has left the path; nil: it has not
}

// change ends what is being sent by the path before, and begins with the one of that number; 0: there is none.
func (u *inUse) change(number uint64, life context.Context) {
	if u.leave != nil {
		u.leave()
	}
	u.number, u.life, u.leave = number, nil, nil
	if number != 0 {
		u.life, u.leave = context.WithCancel(life)
	}
}
