// Package lookups makes one look-up of an address for any number of callers that wait for it, and remembers refusals for a
// moment.
//
// It is not golang.org/x/sync/singleflight, which does not tell whether a call begins a look-up or joins one: here the number
// of look-ups at a time is limited, but any number of calls may join them. And singleflight's goroutines have no owner that
// waits for them. A look-up costs a round trip to a Message Node in any case.
package lookups

import (
	"errors"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// ErrTooMany is the error of [Lookups.Begin] while the allowed number of look-ups go on.
var ErrTooMany = errors.New("too many look-ups at a time")

const maxMisses = 4096 // refusals that are remembered

// Lookups are the present look-ups, and the refusals of the last moment. Any goroutine uses them. Make them with [New].
type Lookups[V any] struct {
	most     int
	missTime time.Duration

	mu      sync.Mutex
	flights map[message.URL]*Flight[V] // as many as New allows
	misses  map[message.URL]miss       // maxMisses
}

// Flight is one look-up and the calls that wait for it.
type Flight[V any] struct {
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

type miss struct {
	until time.Time
	err   error
}

// New makes Lookups with at most so many at a time, whose refusals are remembered for missTime.
func New[V any](most int, missTime time.Duration) *Lookups[V] {
	return &Lookups[V]{most: most, missTime: missTime, flights: map[message.URL]*Flight[V]{}, misses: map[message.URL]miss{}}
}

// Begin joins the look-up of key, or begins one: then begins is true, and the caller makes the look-up and calls
// [Lookups.End]. Unless anew is set, a refusal of a moment ago is returned as the error; and if known returns true, its value
// is returned, without a flight. A result must be entered where known finds it before its flight ends: then no caller between
// the two begins another look-up.
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

// End ends a look-up with its result.
func (l *Lookups[V]) End(now time.Time, key message.URL, f *Flight[V], value V, err error) {
	f.value, f.err = value, err
	l.mu.Lock()
	delete(l.flights, key)
	if err != nil {
		if len(l.misses) >= maxMisses {
			for old := range l.misses { // any one: they live for a moment only
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

// Result is the look-up's result, when Done is closed.
func (f *Flight[V]) Result() (V, error) { return f.value, f.err }

// Busy tells whether half of the allowed look-ups go on.
func (l *Lookups[V]) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flights) >= l.most/2
}
