// Package vigil tells when a remote runtime that is silent has gone.
//
// Where nothing is heard of a runtime for a while, it is asked for a sign of life, again and again. It has gone when it does not
// answer and the Message Node says that it is not connected, or when it has not answered for long. Whoever cannot ask, because
// there is no way, does not know, and waits longer.
package vigil

import "time"

// Options are the times of a vigil: how long nothing has to be heard.
type Options struct {
	Ask  time.Duration // before the runtime is asked; at most 0: it never goes
	Gone time.Duration // before it has gone, though it was asked
	Lost time.Duration // before it has gone, though there was no way to ask it
}

// Vigil is what is known of one runtime. It is looked at now and then, not when something comes. Make it with [New].
type Vigil struct {
	o        Options
	count    uint64        // of messages, when it was looked at last
	usedAt   time.Duration // when there was another count
	askedAt  time.Duration // since when it is asked in vain; 0: it is not asked
	awayAt   time.Duration // when the node has last said that it is not connected; 0: not since it was heard of
	answered bool          // it has answered, and nothing was exchanged since
}

// New is the vigil of a runtime with which a session begins.
func New(o Options) Vigil { return Vigil{o: o} }

// UsedAt is when messages were last noticed to have been exchanged; 0: never.
func (v *Vigil) UsedAt() time.Duration { return v.usedAt }

// Used notes how many messages were exchanged so far, and when something of the runtime was heard last. [Vigil.Look] follows.
func (v *Vigil) Used(count uint64, heardAt, now time.Duration) {
	if v.askedAt != 0 && heardAt >= v.askedAt {
		v.askedAt, v.answered = 0, true
	}
	if v.count != count {
		v.count, v.usedAt, v.answered = count, now, false
	}
}

// Away notes that the Message Node by which the runtime would be reached has said that it is not connected.
func (v *Vigil) Away(now time.Duration) { v.awayAt = now }

// Verdict is what to do about a runtime.
type Verdict uint8

const (
	Wait Verdict = iota
	Ask          // have it asked for a sign of life
	Gone         // it has gone
)

// Look says what to do about a runtime of which something was heard last at heardAt. way: there is one to ask it by. keeps: something
// is kept for it, and it is asked again and again; else once after each use.
func (v *Vigil) Look(heardAt time.Duration, way, keeps bool, now time.Duration) Verdict {
	silent := now - heardAt
	if heardAt >= v.awayAt {
		v.awayAt = 0
	}
	if v.o.Ask <= 0 || silent < v.o.Ask || v.answered && !keeps {
		v.askedAt = 0
		return Wait
	}
	gone := v.o.Lost
	if v.askedAt != 0 && way {
		if v.awayAt >= v.askedAt {
			return Gone
		}
		gone = v.o.Gone
	}
	if v.askedAt == 0 {
		v.askedAt = now
		return Ask // and it has time to answer, however seldom it is looked at
	}
	if silent >= gone {
		return Gone
	}
	return Ask
}
