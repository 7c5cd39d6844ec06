package busypoll

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	// Variable is the environment variable that tells a plug-in its runtime's limit: a duration such as "100us".
	Variable = "PROTOFLY_POLL"

	// Usual is the default limit. It is longer than a round trip takes on one machine.
	Usual = 250 * time.Microsecond

	// Longest is the largest limit.
	Longest = 10 * time.Millisecond

	busy = 500 * time.Microsecond // a yield that takes longer means that others need the processor

	minPause, maxPause = time.Millisecond, time.Second
	maxSkipped         = 63 // waits that sleep at once after a poll without success
)

// Parse reads a limit. "" is [Usual]; with 0 a Waiter never polls.
func Parse(text string) (time.Duration, error) {
	if text == "" {
		return Usual, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > Longest {
		return 0, fmt.Errorf("want a duration from 0s to %v, such as 100us, not %q", Longest, text)
	}
	return d, nil
}

// Inherited returns the limit of a plug-in: the one that its runtime has set in [Variable], else [Usual].
func Inherited() time.Duration {
	d, err := Parse(os.Getenv(Variable))
	if err != nil {
		return Usual
	}
	return d
}

// Waiter waits for the input of one file or socket. Only one goroutine at a time may call Read; Close may be called by others.
type Waiter struct {
	raw   syscall.RawConn
	fd    uintptr
	limit time.Duration
	yield func()
	pace  pace
}

// For makes a Waiter for the input of c. limit is how long it polls at most; 0: it never polls. The caller closes it when c is
// closed, or before. The error is the connection's.
func For(c syscall.Conn, limit time.Duration) (*Waiter, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &Waiter{raw: raw, limit: limit, yield: yield}
	if err := raw.Control(func(fd uintptr) { w.fd = fd }); err != nil {
		return nil, err
	}
	process.join(w)
	return w, nil
}

// Close removes the descriptor from those that other Waiters watch. It may be called more than once, and during Read.
func (w *Waiter) Close() { process.leave(w) }

// Read calls try until it returns true. try reads from the descriptor, which must not block, and returns false if there
// is no input yet. The error says that the connection was closed or its deadline has passed; Read notices a deadline up to
// the limit late.
func (w *Waiter) Read(try func(fd uintptr) (done bool)) error {
	var began time.Time
	return w.raw.Read(func(fd uintptr) bool {
		switch {
		case try(fd):
			if !began.IsZero() {
				w.pace.came(time.Since(began), w.limit)
			}
			return true
		case !began.IsZero(): // woken without input
			return false
		}
		began = time.Now()
		return w.shouldPoll(began) && w.poll(fd, began, try)
	})
}

// shouldPoll says whether to poll before sleeping.
func (w *Waiter) shouldPoll(now time.Time) bool {
	return canYield && !w.pace.rests(now) && !process.busy(now) && !w.pace.skips()
}

// poll polls for input until there is some, the limit has passed, or another Waiter has input.
func (w *Waiter) poll(fd uintptr, began time.Time, try func(fd uintptr) bool) (done bool) {
	others, ok := process.begin(w)
	if !ok {
		return false
	}
	defer process.end()
	for {
		runtime.Gosched()
		before := time.Now()
		w.yield()
		now := time.Now()
		done = try(fd)
		if w.pace.yielded(began, before, now, w.limit, done) || ready(others) {
			return done
		}
	}
}
