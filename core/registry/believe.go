package registry

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// beliefs is what has been believed of Domain Registries, so that nobody brings an old entry back, and what has been
// complained about.
type beliefs struct {
	mu         sync.Mutex
	seen       map[message.URL]seen // maxSeen, those that end first make room
	complaints map[string]time.Time // maxComplaints
}

// seen is the newest entry of an address.
type seen struct {
	runtime message.URL
	issued  int64     // 0: it was not signed
	until   time.Time // nobody believes it any more
	readAt  time.Time
}

// complainAgain is after how long a fault of the same entry is told again.
const complainAgain = time.Hour

// authentic tells whether e is the word of the runtime that it names: signed by it, or not signed where the operator
// allows that. A runtime whose address is derived from a key signs, so leaving the proof out makes nobody believed.
func (r *Registry) authentic(e *entry) error {
	switch {
	case e.proof != nil:
		if err := e.proof.Verify(e.signed); err != nil {
			return fmt.Errorf("%w; its Message Node, or somebody on the way to it, has changed it", err)
		}
	case proof.KeyDerived(e.Runtime):
		return fmt.Errorf("%w: its proof is missing: %s must be brought up to date, or its Message Node has left it out", proof.ErrEntry, e.Runtime)
	case !r.opts.Unsigned(e.Runtime):
		return fmt.Errorf("%w: %s is a runtime without sessions; if it shall be reached nevertheless, add it to trust.without_sessions", proof.ErrEntry, e.Runtime)
	}
	return nil
}

// fresh tells whether e is the newest that is known of key: an entry that was issued before one that has been believed
// is brought back by somebody. Where a hyperty has moved, or two runtimes have signed for one address, the one that
// signed last has it, whatever its Domain Registry says; [Options.Owner] comes before that.
func (r *Registry) fresh(key message.URL, e *entry) error {
	var issued int64
	if e.proof != nil {
		if err := e.proof.Current(time.Now()); err != nil {
			return fmt.Errorf("%w; %s must register it again", err, e.Runtime)
		}
		issued = e.proof.Issued
	}
	b := &r.beliefs
	b.mu.Lock()
	defer b.mu.Unlock()
	last, ok := b.seen[key]
	if ok && time.Now().Before(last.until) && (issued < last.issued || issued == last.issued && issued > 0 && e.Runtime != last.runtime) {
		return fmt.Errorf("%w: an entry of %s, but %s has signed one at %s already, which was later: somebody has brought an old one back, or the clock of %s is behind",
			proof.ErrEntry, e.Runtime, last.runtime, time.UnixMilli(last.issued).UTC().Format(time.RFC3339Nano), e.Runtime)
	}
	return nil
}

// note remembers that e has been believed. Where there is no room, one of those that end first is forgotten.
func (r *Registry) note(key message.URL, e *entry) {
	now := time.Now()
	s := seen{runtime: e.Runtime, until: now.Add(r.opts.CacheTime), readAt: now}
	if e.proof != nil {
		s.issued, s.until = e.proof.Issued, time.UnixMilli(e.proof.Expires).Add(proof.ClockTolerance)
	}
	b := &r.beliefs
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.seen[key]; !known && len(b.seen) >= maxSeen {
		var victim message.URL
		looked := 0
		for u, s := range b.seen {
			if victim == "" || s.until.Before(b.seen[victim].until) {
				victim = u
			}
			if looked++; looked == 8 {
				break
			}
		}
		delete(b.seen, victim)
	}
	b.seen[key] = s
}

// readLately tells whether the Domain Registry has been asked about key a moment ago.
func (r *Registry) readLately(key message.URL) bool {
	b := &r.beliefs
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.seen[key]
	return ok && time.Since(s.readAt) < claimRecheck
}

// complain says once what is wrong with an entry.
func (r *Registry) complain(key message.URL, e *entry, err error) {
	now := time.Now()
	what := string(key) + " " + string(e.Runtime)
	b := &r.beliefs
	b.mu.Lock()
	last, told := b.complaints[what]
	if told = told && now.Sub(last) < complainAgain; !told {
		if len(b.complaints) >= maxComplaints {
			clear(b.complaints)
		}
		b.complaints[what] = now
	}
	b.mu.Unlock()
	if told {
		return
	}
	r.opts.Log.Error("entry of the Domain Registry refused", "name", key, "runtime", e.Runtime, "error", err)
	r.opts.Trace.Emit(trace.Event{Kind: trace.Untrusted, To: key, Peer: e.Runtime, Value: err.Error()})
}

// newestFirst is the order in which entries of one address are tried.
func newestFirst(a, b entry) int { return cmp.Compare(b.issued(), a.issued()) }

func (e *entry) issued() int64 {
	if e.proof == nil {
		return 0
	}
	return e.proof.Issued
}

// sign makes the proof of this runtime's entry; nil where this runtime does not sign. The times of proofs never go
// back while the runtime runs, also when its clock does.
func (r *Registry) sign(l *local) *proof.EntryProof {
	if r.opts.SignEntry == nil {
		return nil
	}
	now := time.Now().UnixMilli()
	for {
		last := r.issued.Load()
		now = max(now, last)
		if r.issued.CompareAndSwap(last, now) {
			break
		}
	}
	issued := time.UnixMilli(now)
	return r.opts.SignEntry(l.entry.Entry, issued, issued.Add(r.opts.ProofTime))
}
