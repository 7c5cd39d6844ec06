package observing

import (
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
)

// maxRefusals is how many answers 404 a renewal gets, at least, before the object counts as gone: its reporter may be coming back.
const maxRefusals = 5

// renewal is how an object is fetched anew: tries, with pauses between them, until one has succeeded and nothing has asked for
// another since it began.
type renewal struct {
	wanted   bool // since the last try began
	doubted  bool // it is wanted because the copy differs, and for nothing else
	waiting  bool // for the time when a copy that differs may be fetched
	due      bool // that time has come
	everyone bool // the next try is for every observer
	running  bool
	trying   bool // the try that is under way is for every observer
	refused  int  // answers 404
	pause    backoff.Backoff
}

// want has the object fetched anew, whatever is under way.
func (r *renewal) want(everyone bool) {
	r.wanted, r.doubted = true, false
	r.everyone = r.everyone || everyone
}

// doubt has the object fetched anew because the copy differs.
func (r *renewal) doubt() {
	r.doubted = r.doubted || !r.wanted
	r.wanted = true
}

// wait is how long the fetching of a copy that differs has to wait; waited is to be called then. 0: it has not to, or waits.
func (r *renewal) wait(now time.Time, check *object.Check) time.Duration {
	if !r.wanted || !r.doubted || r.running || r.waiting || r.due {
		return 0
	}
	wait := check.Ask(now)
	r.waiting, r.due = wait > 0, wait == 0
	return wait
}

// starts tells whether tries are to be begun now.
func (r *renewal) starts() bool {
	if !r.wanted || r.running || r.doubted && !r.due {
		return false
	}
	r.running, r.due, r.refused = true, false, 0
	r.pause = backoff.Backoff{Min: 2 * time.Second, Max: time.Minute} // so the fifth refusal is 15 s after the first, or later
	return true
}

// waited ends the wait.
func (r *renewal) waited() { r.waiting, r.due = false, true }

// begin begins a try and tells whether it is for every observer.
func (r *renewal) begin() (everyone bool) {
	r.trying = r.everyone
	r.wanted, r.doubted, r.everyone = false, false, false
	return r.trying
}

// end ends a try, with its error. observed tells whether anybody wants the object still.
// unknown: the runtime has not known the object for so long that it counts as gone.
func (r *renewal) end(err error, observed, unknown bool) (over, gone bool, pause time.Duration) {
	gone = err != nil && unknown && r.refused >= maxRefusals
	if gone || !observed || err == nil && !r.wanted {
		*r = renewal{waiting: r.waiting}
		return true, gone, 0
	}
	if err != nil {
		r.everyone = r.everyone || r.trying
	}
	return false, false, r.pause.Next()
}
