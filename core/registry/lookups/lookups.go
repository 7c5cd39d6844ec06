// Package lookups has an address looked up once for any number of callers that wait for it, and remembers refusals for a moment.
//
// It is not golang.org/x/sync/singleflight: that one does not tell whether a call would begin a look-up or join one, and here only so many
// may go on at a time while any number may join; and its goroutines have no owner that waits for them. What a look-up costs is a
// round trip to a Message Node in any case.
package lookups

import (
	"errors"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// ErrTooMany is the error of [Lookups.Begin] while as many go on as may.
var ErrTooMany = errors.New("too many look-ups at a time")

const maxMisses = 4096 // refusals that are remembered

// Lookups are the look-ups that go on, and the refusals of the last moment. Any goroutine uses them. Make them with [New].
type Lookups[V any] struct {
	most     int
	missTime time.Duration

	mu      sync.Mutex
	flights map[message.URL]*Flight[V] // most
	misses  map[message.URL]miss       // maxMisses
}

// Flight is one look-up and whoever waits for it.
type Flight[V any] struct {
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

type miss struct {
	until time.Time
	err   error
}

// New makes Lookups of which so many go on at a time, and whose refusals are remembered for missTime.
func New[V any](most int, missTime time.Duration) *Lookups[V] {
	return &Lookups[V]{most: most, missTime: missTime, flights: map[message.URL]*Flight[V]{}, misses: map[message.URL]miss{}}
}

// Begin joins the look-up of key, or begins one: then begins is true, and the caller has it done and calls [Lookups.End]. Unless it is
// to be looked up anew, a refusal of a moment ago is the error; and where what known says is true, that is the value, and there is
// no flight: what was looked up is entered before its flight ends, so nobody who comes between the two begins another.
func (l *Lookups[V]) Begin(now time.Time, key message.URL, anew bool, known func() (V, bool)) (f *Flight[V], begins bool, value V, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m, ok := l.misses[key]; ok && !anew {
		if now.Before(m.until) {
			return nil, false, value, m.err
		}
		delete(l.misses, key)
	}
	if f = l.flights[key]; f != nil {
		return f, false, value, nil
	}
	if !anew {
		if value, ok := known(); ok {
			return nil, false, value, nil
		}
	}
	if len(l.flights) >= l.most {
		return nil, false, value, ErrTooMany
	}
	f = &Flight[V]{done: make(chan struct{})}
	l.flights[key] = f
	return f, true, value, nil
}

// End ends a look-up with what came of it.
func (l *Lookups[V]) End(now time.Time, key message.URL, f *Flight[V], value V, err error) {
	f.value, f.err = value, err
	l.mu.Lock()
	delete(l.flights, key)
	if err != nil {
		if len(l.misses) >= maxMisses {
			for old := range l.misses { // any: they live for a moment
				delete(l.misses, old)
				break
			}
		}
		l.misses[key] = miss{until: now.Add(l.missTime), err: err}
	}
	l.mu.Unlock()
	close(f.done)
}

// Done is closed when the look-up has ended.
func (f *Flight[V]) Done() <-chan struct{} { return f.done }

// Result is what came of it. It is called when Done is closed.
func (f *Flight[V]) Result() (V, error) { return f.value, f.err }

// Busy tells whether half as many go on as may.
func (l *Lookups[V]) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flights) >= l.most/2
}
