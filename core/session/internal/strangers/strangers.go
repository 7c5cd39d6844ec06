package strangers

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/sdk/message"
)

// Strangers is what is kept because of all strangers together, and what handshakes may cost, with them and with runtimes that
// there is a session with. The zero value works; it is safe for use by many goroutines.
type Strangers struct {
	mu        sync.Mutex
	cookies   cookies
	pool      pool
	allowance allowance     // what handshakes with them may cost
	unproven  *rate.Limiter // of those without a cookie; see open
	bins      bins
	peers     allowance // what handshakes with runtimes that there is a session with may cost
}

// at is a time for limits.
func at(now time.Duration) time.Time { return time.Unix(0, int64(now)) }

// Welcome tells whether something may be computed and kept for a stranger that has come by path. Under load it has to have a
// cookie; then fresh is the one that it gets instead.
func (s *Strangers) Welcome(remote message.URL, path paths.Path, cookie []byte, now time.Duration) (ok bool, fresh []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	proven := cookie != nil && s.cookies.good(cookie, remote, path, now)
	if !proven && !s.open(now) {
		return false, s.cookies.of(remote, path, now)
	}
	return s.worth(remote, path.Stub, now), nil
}

// open tells whether something may be computed and kept for a stranger that has said no cookie: much of that is done for
// those who only claim to be somebody.
func (s *Strangers) open(now time.Duration) bool {
	if s.unproven == nil {
		s.unproven = rate.NewLimiter(OpenRate, OpenHandshakes)
	}
	return s.pool.count <= MaxPending/2 && s.unproven.AllowN(at(now), 1)
}

// Worth is Welcome for what follows in a handshake that is kept.
func (s *Strangers) Worth(remote, stub message.URL, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worth(remote, stub, now)
}

func (s *Strangers) worth(remote, stub message.URL, now time.Duration) bool {
	return s.bins.take(remote, at(now)) && s.allowance.take(stub, at(now))
}

// Take is Worth for a runtime that there is a session with; see pairing.Allowance.
func (s *Strangers) Take(stub message.URL, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers.take(stub, at(now))
}

// Keep keeps a handshake for a while.
func (s *Strangers) Keep(one *Pending, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool.add(one, now)
}

// Of are the handshakes with a runtime for which want is true.
func (s *Strangers) Of(remote message.URL, want func(*Pending) bool, now time.Duration) []*Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool.expire(now)
	return s.pool.of(remote, want)
}

// Answered are the handshakes with a runtime that were answered by an incarnation of this one.
func (s *Strangers) Answered(remote message.URL, by uint64, now time.Duration) (list []*handshake.Answer) {
	for _, p := range s.Of(remote, func(p *Pending) bool { return p.Answer != nil && p.Local.Incarnation == by }, now) {
		list = append(list, p.Answer)
	}
	return list
}

// Forget drops all handshakes with a runtime: one of them has ended.
func (s *Strangers) Forget(remote message.URL) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool.forget(remote)
}

// Expire forgets handshakes that have not ended in time, and says how many are left.
func (s *Strangers) Expire(now time.Duration) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool.expire(now)
	return s.pool.count
}

// Kept is how many handshakes are kept.
func (s *Strangers) Kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.count
}

// Check says whether the handshakes that are kept are as many as are counted.
func (s *Strangers) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, of := range s.pool.by {
		n += len(of)
	}
	if n != s.pool.count || n > MaxPending {
		return fmt.Errorf("%d handshakes are kept, %d are counted, at most %d may be", n, s.pool.count, MaxPending)
	}
	return nil
}
