package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// entry is the body of a message: what it takes to tell whether it is the one that was sent.
type entry struct {
	Sender      string `json:"sender"`
	Incarnation uint64 `json:"incarnation"` // of the sender
	Number      uint64 `json:"number"`      // from 1, going on over incarnations
	Padding     string `json:"padding"`
	SHA256      string `json:"sha256"` // of all the others
}

func (e *entry) sum() string {
	text := make([]byte, 0, 128)
	text = append(append(text, e.Sender...), 0)
	text = strconv.AppendUint(append(strconv.AppendUint(text, e.Incarnation, 10), 0), e.Number, 10)
	text = append(append(text, 0), e.Padding...)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// seal completes the entry and returns it as a message's body.
func (e *entry) seal() json.RawMessage {
	e.SHA256 = e.sum()
	return message.Encode(e)
}

// ledger is what is known of the messages from one application to another. The sender's numbers are entered by flow,
// what the receiver gets by take, what is reported back to the sender by reported.
type ledger struct {
	sender    string
	mayRefuse bool // a receiver may be gone for a while

	mu          sync.Mutex
	sent        uint64 // numbers 1 to sent were posted
	seen        set
	last        uint64 // the highest number that came
	incarnation uint64 // and whose it was
	delivered   uint64
	duplicated  uint64
	outOfOrder  uint64
	corrupt     uint64
	doubt       set // reported in doubt: may have come or not
	doubts      uint64
	refused     set // reported not to have come
	refusals    uint64
	claimed     set      // said to be delivered
	held        uint64   // had to wait for room before they were taken
	notes       []string // the first few things that should not have come

	arrived time.Time     // when the last message came
	longest time.Duration // without a message, since watch
	changed chan struct{} // closed and replaced with every message while somebody waits

	posted map[uint64]time.Time // when each number was; nil: nobody measures
	took   []time.Duration      // to come, since latencies
}

// set is a set of numbers.
type set struct{ bits []uint64 }

func (s *set) has(n uint64) bool {
	return n/64 < uint64(len(s.bits)) && s.bits[n/64]&(1<<(n%64)) != 0
}

// add is false where n was in already.
func (s *set) add(n uint64) bool {
	if s.has(n) {
		return false
	}
	for n/64 >= uint64(len(s.bits)) {
		s.bits = append(s.bits, 0)
	}
	s.bits[n/64] |= 1 << (n % 64)
	return true
}

// take enters a message that came.
func (l *ledger) take(_ context.Context, m hyperty.Received) {
	now := time.Now()
	var e entry
	err := m.Decode(&e)
	valid := err == nil && e.Sender == l.sender && e.SHA256 == e.sum()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.longest = max(l.longest, now.Sub(l.arrived))
	l.arrived = now
	switch {
	case !valid || e.Number == 0 || e.Number > l.sent:
		l.corrupt++
		l.note("corrupt message from %s: %.120s", m.From, m.Body)
		return
	case !l.seen.add(e.Number):
		l.duplicated++
		l.note("number %d of %s came twice", e.Number, l.sender)
		return
	case l.refused.has(e.Number):
		l.note("number %d of %s came after it was refused", e.Number, l.sender)
	case e.Number < l.last || e.Incarnation < l.incarnation:
		l.outOfOrder++
		l.note("number %d of %s came after %d", e.Number, l.sender, l.last)
	}
	l.delivered++
	if at, ok := l.posted[e.Number]; ok {
		l.took = append(l.took, now.Sub(at))
		delete(l.posted, e.Number)
	}
	l.last, l.incarnation = max(l.last, e.Number), max(l.incarnation, e.Incarnation)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// reported enters a response to a message. The time-outs of the ways leave open whether the message came (in doubt);
// every other refusal says that it did not, which few cases allow.
func (l *ledger) reported(_ context.Context, m message.Message) {
	r, err := m.Result()
	n, err2 := strconv.ParseUint(m.ID.String(), 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil || err2 != nil || n == 0 || n > l.sent:
		l.note("unexpected response from %s: %.120s", m.From, m.Body)
	case r.Code == message.CodeTimeout || r.Code == message.CodeUnavailable:
		if l.doubt.add(n) {
			l.doubts++
		}
	case r.Code >= 300:
		if l.refused.add(n) {
			l.refusals++
		}
		switch {
		case l.seen.has(n):
			l.note("number %d of %s came, and was refused: %d %.120s", n, l.sender, r.Code, r.Description)
		case !l.mayRefuse:
			l.note("number %d of %s was refused: %d %.120s", n, l.sender, r.Code, r.Description)
		}
	}
}

// learn enters what the sender was told of the message n that it asked about.
func (l *ledger) learn(n uint64, o hyperty.Outcome, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.note("nobody says what became of number %d of %s: %v", n, l.sender, err)
	case o.State == hyperty.Delivered:
		l.claimed.add(n)
	case o.State == hyperty.Refused:
		if l.refused.add(n) {
			l.refusals++
		}
		if l.seen.has(n) || !l.mayRefuse {
			l.note("number %d of %s is said to be %v, came: %v", n, l.sender, o, l.seen.has(n))
		}
	default: // expired, in doubt
		if l.doubt.add(n) {
			l.doubts++
		}
	}
}

// claims is how many messages were said to be delivered. Those that did not come are noted. mu is held.
func (l *ledger) claims() (count uint64) {
	for n := uint64(1); n <= l.sent; n++ {
		if l.claimed.has(n) {
			count++
			if !l.seen.has(n) {
				l.note("number %d of %s is claimed to be delivered and has not come", n, l.sender)
			}
		}
	}
	return count
}

// note keeps the first few things that should not have come. mu is held.
func (l *ledger) note(format string, args ...any) {
	if len(l.notes) < maxWrong {
		l.notes = append(l.notes, fmt.Sprintf(format, args...))
	}
}

// watch begins to measure: the function that it returns says for how long nothing has come since, at the longest.
func (l *ledger) watch() (pause func() time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived, l.longest = time.Now(), 0
	return func() time.Duration {
		l.mu.Lock()
		defer l.mu.Unlock()
		return max(l.longest, time.Since(l.arrived))
	}
}

// measure begins to measure how long each message takes.
func (l *ledger) measure() {
	l.mu.Lock()
	l.posted = map[uint64]time.Time{}
	l.mu.Unlock()
}

// latencies is how long the messages took that came since the last call, and for how long those have been on their way
// that have not come yet: one that is stuck is not quick.
func (l *ledger) latencies() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took, now := l.took, time.Now()
	for _, at := range l.posted {
		took = append(took, now.Sub(at))
	}
	l.took = nil
	return took
}

// read is how many messages have come.
func (l *ledger) read() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delivered
}

// next waits until a message comes.
func (l *ledger) next(ctx context.Context) error {
	l.mu.Lock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	changed := l.changed
	l.mu.Unlock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no message from %s comes any more: %w", l.sender, ctx.Err())
	}
}

// lost is how many messages did not come although nobody has told their sender.
func (l *ledger) lost() uint64 { return l.missing(l.posts()) }

// posts is how many messages were posted.
func (l *ledger) posts() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// missing is how many of the first messages have not come without their sender having been told.
func (l *ledger) missing(first uint64) (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := uint64(1); i <= first; i++ {
		if !l.seen.has(i) && !l.doubt.has(i) && !(l.refused.has(i) && l.mayRefuse) {
			n++
		}
	}
	return n
}

// settled tells whether every message has come or is in doubt, as far as counting tells.
func (l *ledger) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delivered+l.doubts+l.refusals >= l.sent
}
