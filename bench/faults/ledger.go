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

// entry is the body of a message. With it the receiver can tell whether it is the one that was sent.
type entry struct {
	Sender      string `json:"sender"`
	Incarnation uint64 `json:"incarnation"` // of the sender
	Number      uint64 `json:"number"`      // from 1, it goes on over incarnations
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

// ledger records the messages from one application to another: flow enters what is sent, take what the receiver gets, and reported
// the reports that the sender gets.
type ledger struct {
	sender    string
	mayRefuse bool // refusals are not faults, since the receiver may be away

	mu          sync.Mutex
	sent        uint64 // numbers 1 to sent were posted
	seen        set
	last        uint64 // the highest number that came
	incarnation uint64 // the sender's incarnation in that message
	delivered   uint64
	duplicated  uint64
	outOfOrder  uint64
	corrupt     uint64
	doubt       set // reported in doubt: may have come or not
	doubts      uint64
	refused     set // reported not to have come
	refusals    uint64
	claimed     set      // reported as delivered
	waited      uint64   // messages that had to wait for room
	notes       []string // the first few wrong messages

	arrived time.Time     // when the last message came
	longest time.Duration // the longest time without a message since watch
	changed chan struct{} // closed and replaced with every message while a goroutine waits

	posted map[uint64]time.Time // when each number was posted; nil: latencies are not measured
	took   []time.Duration      // latencies of the messages that came since the last call of latencies
}

// set is a set of numbers.
type set struct{ bits []uint64 }

func (s *set) has(n uint64) bool {
	return n/64 < uint64(len(s.bits)) && s.bits[n/64]&(1<<(n%64)) != 0
}

// add adds n. It returns false if n was in the set.
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

// reported enters a response to a message. After a time-out on the way it is open whether the message came (in doubt).
// Every other refusal says that it did not come, which few cases allow.
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

// learn enters the outcome of the tracked message n.
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

// claims returns how many messages were reported as delivered, and notes those that did not come. The caller holds mu.
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

// note notes a wrong message, up to a limit. The caller holds mu.
func (l *ledger) note(format string, args ...any) {
	if len(l.notes) < maxWrong {
		l.notes = append(l.notes, fmt.Sprintf(format, args...))
	}
}

// watch begins to measure pauses. The function that it returns returns the longest time without a message since then.
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

// measure begins to measure latencies.
func (l *ledger) measure() {
	l.mu.Lock()
	l.posted = map[uint64]time.Time{}
	l.mu.Unlock()
}

// latencies returns the latencies of the messages that came since the last call, and the times that messages which have not come
// have been on their way, so that a stuck message counts.
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

// read returns how many messages have come.
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

// lost returns how many messages neither came nor were reported to their sender.
func (l *ledger) lost() uint64 { return l.missing(l.posts()) }

// posts returns how many messages were posted.
func (l *ledger) posts() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// missing returns how many of the first messages have not come and were not reported to their sender.
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

// settled tells whether every message has come or is in doubt, by their numbers.
func (l *ledger) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delivered+l.doubts+l.refusals >= l.sent
}
