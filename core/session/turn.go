package session

import (
	"context"
	"time"
)

// turn is who sends, and when the pump looks for work. One goroutine at a time sends: the pump, or a poster.
type turn struct {
	run      func()          // the pump
	pumping  bool            // it runs
	sleepsTo time.Duration   // when it looks by itself, 0: it is awake, or about to be
	on       context.Context // the life of the path that is being sent on, nil: nothing is sent. Whoever sets it alone sends
	at       time.Duration   // since when, or when the last was
	inline   bool            // it is a poster that sends: it has the pump look when it has done so
	poked    bool            // the pump is to look then
}

// way is what the session holds of the path in use.
type way struct {
	life  context.Context // ends when the path in use is left
	leave context.CancelFunc
	left  *time.Timer // calls follow: the peer has left the path in use; nil: it has not
}

// take begins with a path.
func (w *way) take(life context.Context) { w.life, w.leave = context.WithCancel(life) }

// quit ends what is being sent by the path in use.
func (w *way) quit() {
	if w.leave != nil {
		w.leave()
	}
	w.life, w.leave = nil, nil
}

// signals wake others.
type signals struct {
	wake  chan struct{} // the pump
	came  chan struct{} // the goroutine that delivers: there is something to deliver
	space chan struct{} // a poster that waits: there may be room in the total
}

func newSignals() signals {
	return signals{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)}
}

// counters are for people.
type counters struct {
	resets  uint64    // how often the peer has begun another life
	dropped uint64    // frames that were refused
	posted  [2]uint64 // messages, by whether the path that they were posted with is direct
}
