package entries

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Options have the decisions about entries. Zero values are defaults.
type Options struct {
	// Owner says whether a hyperty may be at a runtime. certain: an entry of its Domain Registry that is believed says that
	// it is. The error says what to do. It must be quick where certain is false. Without it every such entry is accepted.
	Owner func(name, runtime message.URL, certain bool) error
	// Unsigned says whether unsigned entries of that runtime are believed. It is not asked about runtimes whose address is
	// derived from a key, see [proof.KeyDerived]: those sign. Without it no unsigned entry is believed.
	Unsigned  func(runtime message.URL) bool
	CacheTime time.Duration // how long an unsigned entry is remembered
}

const (
	maxSeen       = 1 << 16         // addresses whose last entry is remembered
	maxComplaints = 1024            // entries that have been complained about
	complainAgain = time.Hour       // time before the same fault of an entry is reported again
	claimRecheck  = 5 * time.Second // time between two checks whether a known address has moved to a runtime that claims it
)

// Beliefs remembers which entries of Domain Registries have been believed, so that nobody can bring an old entry back, and
// which faults have been reported. Any goroutine uses it. Make it with [NewBeliefs].
type Beliefs struct {
	opts Options

	mu         sync.Mutex
	seen       map[message.URL]seen // maxSeen; those that end first are forgotten
	complaints map[string]time.Time // maxComplaints
}

// seen is the newest believed entry of an address.
type seen struct {
	runtime message.URL
	issued  int64     // 0: it was not signed
	until   time.Time // when the entry would not be believed any more
	readAt  time.Time
}

// NewBeliefs makes Beliefs that remember nothing.
func NewBeliefs(o Options) *Beliefs {
	if o.Owner == nil {
		o.Owner = func(_, _ message.URL, _ bool) error { return nil }
	}
	if o.Unsigned == nil {
		o.Unsigned = func(message.URL) bool { return false }
	}
	return &Beliefs{opts: o, seen: map[message.URL]seen{}, complaints: map[string]time.Time{}}
}

// Choice is the decision about the entries of an address.
type Choice struct {
	Entry        *Entry      // nil: none is believed
	Disconnected bool        // there is a disconnected entry
	Released     bool        // the newest of these is of an address that was given up: nobody has it
	Owner        message.URL // the runtime that has signed the newest disconnected entry; "": none has
	Since        time.Time   // when that one was disconnected, as the node says; zero: it does not
	Strange      error       // why the runtime of an entry may not have the address, see Options.Owner
	Fault        error       // why an entry is not believed
	Complaints   []Complaint // faults to report, each once
}

// Complaint is a fault of an entry.
type Complaint struct {
	Runtime message.URL
	Err     error
}

// Choose returns, of the entries of key that are believed and not disconnected, the one that was signed last. Other entries
// are ignored; Choice says why. It sorts the list.
func (b *Beliefs) Choose(now time.Time, key message.URL, list []Entry) (c Choice) {
	slices.SortStableFunc(list, func(a, b Entry) int { return cmp.Compare(b.issued(), a.issued()) })
	for i := range list {
		e := &list[i]
		err := b.authentic(e)
		if err == nil && e.Status == message.Disconnected.String() {
			if !c.Disconnected {
				c.Released = e.Released
			}
			c.Disconnected = true // no matter who has signed it: no message is sent there
			if c.Owner == "" && b.fresh(now, key, e) == nil && b.opts.Owner(key, e.Runtime, false) == nil {
				c.Owner, c.Since = e.Runtime, e.Modified
			}
			continue
		}
		if err == nil {
			err = b.fresh(now, key, e)
		}
		if err != nil {
			c.Fault = err
		} else if err = b.opts.Owner(key, e.Runtime, true); err != nil {
			c.Strange = err
		}
		if err == nil {
			b.note(now, key, e)
			c.Entry = e
			return c
		}
		if b.complain(now, key, e) {
			c.Complaints = append(c.Complaints, Complaint{e.Runtime, err})
		}
	}
	return c
}

// authentic checks that e is the word of the runtime that it names: signed by it, or not signed where the operator allows
// that. A runtime whose address is derived from a key must sign, so leaving the proof out does not help a forger.
func (b *Beliefs) authentic(e *Entry) error {
	switch {
	case e.proof != nil:
		if err := e.proof.Verify(e.signed); err != nil {
			return fmt.Errorf("%w; its Message Node, or somebody on the way to it, has changed it", err)
		}
	case proof.KeyDerived(e.Runtime):
		return fmt.Errorf("%w: its proof is missing: %s must be brought up to date, or its Message Node has left it out", proof.ErrEntry, e.Runtime)
	case !b.opts.Unsigned(e.Runtime):
		return fmt.Errorf("%w: %s is a runtime without sessions; if it shall be reached nevertheless, add it to trust.without_sessions", proof.ErrEntry, e.Runtime)
	}
	return nil
}

// fresh checks that no newer entry of key has been believed: an entry that was issued earlier has been brought back by
// somebody. Where a hyperty has moved, or two runtimes have signed for one address, the entry that was signed last counts,
// whatever its Domain Registry says; but [Options.Owner] decides first.
func (b *Beliefs) fresh(now time.Time, key message.URL, e *Entry) error {
	var issued int64
	if e.proof != nil {
		if err := e.proof.Current(now); err != nil {
			return fmt.Errorf("%w; %s must register it again", err, e.Runtime)
		}
		issued = e.proof.Issued
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	last, ok := b.seen[key]
	if ok && now.Before(last.until) && (issued < last.issued || issued == last.issued && issued > 0 && e.Runtime != last.runtime) {
		return fmt.Errorf("%w: an entry of %s, but %s has signed one at %s already, which was later: somebody has brought an old one back, or the clock of %s is behind",
			proof.ErrEntry, e.Runtime, last.runtime, time.UnixMilli(last.issued).UTC().Format(time.RFC3339Nano), e.Runtime)
	}
	return nil
}

// note remembers that e has been believed. If there is no room, it forgets one of those that end first.
func (b *Beliefs) note(now time.Time, key message.URL, e *Entry) {
	s := seen{runtime: e.Runtime, until: now.Add(b.opts.CacheTime), readAt: now}
	if e.proof != nil {
		s.issued, s.until = e.proof.Issued, time.UnixMilli(e.proof.Expires).Add(proof.ClockTolerance)
	}
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

// ReadLately tells whether an entry of key was believed a moment ago.
func (b *Beliefs) ReadLately(now time.Time, key message.URL) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.seen[key]
	return ok && now.Sub(s.readAt) < claimRecheck
}

// complain tells whether a fault of an entry is to be reported: the same one once in a while.
func (b *Beliefs) complain(now time.Time, key message.URL, e *Entry) bool {
	what := string(key) + " " + string(e.Runtime)
	b.mu.Lock()
	defer b.mu.Unlock()
	if last, told := b.complaints[what]; told && now.Sub(last) < complainAgain {
		return false
	}
	if len(b.complaints) >= maxComplaints {
		clear(b.complaints)
	}
	b.complaints[what] = now
	return true
}

func (e *Entry) issued() int64 {
	if e.proof == nil {
		return 0
	}
	return e.proof.Issued
}
