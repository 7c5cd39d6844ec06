// Package turn is who sends the frames of a session, and when the goroutine that sends has to look for work.
//
// One goroutine at a time sends: the session's own, which is called the pump, or a poster, whose message then wakes nobody.
// A [Turn] takes no lock and starts nothing: it says when the pump is to be started or woken. Times are since its owner began; 0
// is "not set".
package turn

import "time"

// rowPause is how long nothing was handed to a path before a poster sends its message itself although others are not
// acknowledged. Where messages come more quickly the pump sends, and packs what has come meanwhile into one frame.
const rowPause = 50 * time.Microsecond

// Turn is who sends in one session. The zero value is a session without a pump, in which nobody sends.
type Turn struct {
	running  bool          // the pump runs
	sleepsTo time.Duration // when it looks by itself; 0: it is awake, or about to be
	path     uint64        // the number of the path that is being sent on; 0: nobody sends
	at       time.Duration // since when, or when the last was
	poster   bool          // it is a poster that sends: it has the pump look when it has done so
	poked    bool          // the pump is to look then
	idle     time.Duration // since when the pump has nothing to do; 0: it has
}

// Want is what is to be done about the pump.
type Want uint8

const (
	Nothing Want = iota
	Wake         // it sleeps
	Start        // it does not run
)

// Poke has the pump look for work. start: it may be started.
func (t *Turn) Poke(start bool) Want {
	switch {
	case t.poster:
		t.poked = true
	case t.running:
		return Wake
	case start:
		t.running = true
		return Start
	}
	return Nothing
}

// PokeAt has the pump look when it is due. It is woken only where it would look later: most of what is due in a moment is done
// by what is sent before.
func (t *Turn) PokeAt(due time.Duration, start bool) Want {
	if t.running && t.sleepsTo <= due {
		return Nothing
	}
	t.sleepsTo = 0
	return t.Poke(start)
}

// Posted is Poke for a message that was posted. A pump that is awake, or sends, finds the message by itself.
func (t *Turn) Posted(start bool) Want {
	if t.Awake() || t.path != 0 && !t.poster {
		return Nothing
	}
	want := t.Poke(start)
	if !t.poster {
		t.sleepsTo = 0
	}
	return want
}

// Running tells whether there is a pump.
func (t *Turn) Running() bool { return t.running }

// Awake tells whether the pump looks for work next, without being woken.
func (t *Turn) Awake() bool { return t.running && t.sleepsTo == 0 && !t.poster }

// Sending tells whether somebody sends.
func (t *Turn) Sending() bool { return t.path != 0 }

// On tells whether somebody sends on that path.
func (t *Turn) On(path uint64) bool { return t.path != 0 && t.path == path }

// Row tells whether messages come one behind the other: one was just sent.
func (t *Turn) Row(now time.Duration) bool { return now-t.at < rowPause }

// Begin gives the turn to the pump, which sends on a path; nobody else sends.
func (t *Turn) Begin(path uint64, now time.Duration) { t.path, t.at, t.idle = path, now, 0 }

// End is the end of Begin.
func (t *Turn) End(now time.Duration) { t.path, t.at = 0, now }

// BeginPoster is Begin for a poster.
func (t *Turn) BeginPoster(path uint64, now time.Duration) {
	t.path, t.at, t.poster, t.poked = path, now, true, false
}

// EndPoster is the end of BeginPoster. look: the pump is to look for work.
func (t *Turn) EndPoster() (look bool) {
	t.path, t.poster = 0, false
	return t.poked || !t.running
}

// Look begins a look of the pump for work. It is false where a poster sends, who has it look again then.
func (t *Turn) Look() bool {
	t.sleepsTo = 0
	t.poked = t.poked || t.poster
	return !t.poster
}

// Sleep notes that the pump has nothing to send, and something to do when it is due; 0: nothing. It says when the pump looks
// again, and whether it ends instead, because there was nothing to do for linger.
func (t *Turn) Sleep(due, linger, now time.Duration) (until time.Duration, end bool) {
	if due != 0 {
		t.idle, t.sleepsTo = 0, due
		return due, false
	}
	if t.idle == 0 {
		t.idle = now
	}
	if t.idle = max(t.idle, t.at); t.poster {
		t.sleepsTo = now + linger
		return t.sleepsTo, false
	}
	if until = t.idle + linger; now >= until {
		*t = Turn{at: t.at}
		return 0, true
	}
	t.sleepsTo = until
	return until, false
}

// StuckDue is when what is being sent has taken too long: stall after it began, or, since the pump cannot look while it sends,
// when the path counts as stalled; 0: never.
func (t *Turn) StuckDue(stall, stalled time.Duration) time.Duration {
	if due := t.at + stall; stalled == 0 || due < stalled {
		return due
	}
	return stalled
}
