package session

import (
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/sdk/message"
)

// visitors are the strangers of all sessions, with the lock that holds them.
type visitors struct {
	mu  sync.Mutex
	all strangers.Strangers
}

// Take tells whether a message of a handshake with a runtime that there is a session with, which came by the stub, may be
// computed on; see pairing.Allowance.
func (v *visitors) Take(stub message.URL, now time.Duration) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all.Peer(stub, now)
}

// answered is the handshakes of a runtime that were answered, by this incarnation, before there was a session with it.
func (v *visitors) answered(remote message.URL, incarnation uint64, now time.Duration) []*handshake.Answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all.Answered(remote, incarnation, now)
}

// forget drops the handshakes with a runtime that there is a session with now.
func (v *visitors) forget(remote message.URL) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all.Forget(remote)
}

// expire forgets handshakes that have not ended in time, and says how many are left.
func (v *visitors) expire(now time.Duration) (left int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all.Expire(now)
}

// count is how many handshakes are kept.
func (v *visitors) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all.Count()
}

// welcome is strangers.Welcome, or Worth where the handshake is kept already.
func (v *visitors) welcome(remote message.URL, path Path, kept bool, cookie []byte, now time.Duration) (ok bool, fresh []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if kept {
		return v.all.Worth(remote, path.Stub, now), nil
	}
	return v.all.Welcome(remote, path, cookie, now)
}

// keep keeps a handshake.
func (v *visitors) keep(one *strangers.Pending, now time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all.Keep(one, now)
}

// of are the handshakes with a runtime for which want is true.
func (v *visitors) of(remote message.URL, want func(*strangers.Pending) bool, now time.Duration) []*strangers.Pending {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all.Of(remote, want, now)
}
