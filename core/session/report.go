package session

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// A report tells the peer which of its messages were taken, or refused, by their destinations. It is a record of the
// session: it has a number among the messages, is acknowledged like them and sent again, and is not counted as one.

const (
	minSpans = 4 << 10 // that may wait, also where the inbox is small
)

// told is the messages of which the same is to be told.
type told struct {
	code  int // as in a response: 200 is taken
	spans []wire.Span
}

// follows tells whether message number is the one behind the last of these.
func (t *told) follows(code int, number uint64) bool {
	return t.code == code && len(t.spans) > 0 && t.spans[len(t.spans)-1].B == number
}

// account is what this side owes one incarnation of the remote runtime word of. Listeners settle messages in it without
// holding up the session.
type account struct {
	s *session

	mu     sync.Mutex
	cost   int // of what was settled since the session looked
	much   int // from what cost on it is to look at once
	owed   []told
	spans  int  // in owed
	due    bool // the session knows that something is owed
	now    bool // and that it is much
	closed bool // the incarnation is gone
}

func newAccount(s *session) *account { return &account{s: s, much: s.o.InboxBytes / 64} }

// Settled is told by listeners what became of a message; see minibus.Taker.
func (a *account) Settled(number uint64, cost uint32, code int) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		a.s.mu.Lock()
		a.s.taken(int(cost))
		a.s.unlock()
		return
	}
	a.cost += int(cost)
	first, much := !a.due, !a.now && a.cost >= a.much
	a.due = true
	a.now = a.now || much
	if n := len(a.owed); n == 1 && a.owed[0].follows(code, number) { // as it is nearly always
		t := &a.owed[0]
		t.spans[len(t.spans)-1].B = number + 1
	} else {
		a.add(code, wire.Span{A: number, B: number + 1})
	}
	a.mu.Unlock()
	if first || much {
		a.s.owes(much)
	}
}

// Failed is told by listeners that nobody will take m; see minibus.Taker.
func (a *account) Failed(number uint64, cost uint32, m message.Message, why error) {
	code := message.CodeError
	var known *message.ResponseError
	if errors.As(why, &known) {
		code = known.Code
	}
	a.Settled(number, cost, code)
	a.s.o.Refuse(a.s.remote, m, why)
}

// add notes a span. mu is held.
func (a *account) add(code int, s wire.Span) {
	i := slices.IndexFunc(a.owed, func(t told) bool { return t.code == code })
	if i < 0 {
		if i = len(a.owed); i < cap(a.owed) { // with the memory of an earlier one
			a.owed = a.owed[:i+1]
			a.owed[i] = told{code, a.owed[i].spans[:0]}
		} else {
			a.owed = append(a.owed, told{code: code})
		}
	}
	t := &a.owed[i]
	n := len(t.spans)
	if n > 0 && t.spans[n-1].B == s.A {
		t.spans[n-1].B = s.B
		return
	}
	at, _ := slices.BinarySearchFunc(t.spans, s, func(x, y wire.Span) int {
		if x.A < y.A {
			return -1
		}
		return 1
	})
	switch {
	case at > 0 && t.spans[at-1].B == s.A && at < n && t.spans[at].A == s.B:
		t.spans[at-1].B = t.spans[at].B
		t.spans = slices.Delete(t.spans, at, at+1)
		a.spans--
	case at > 0 && t.spans[at-1].B == s.A:
		t.spans[at-1].B = s.B
	case at < n && t.spans[at].A == s.B:
		t.spans[at].A = s.A
	case a.spans >= max(minSpans, a.s.o.InboxBytes/wire.MessageCost) && at == 0: // it would be the first to go
	default:
		if a.spans++; a.spans > max(minSpans, a.s.o.InboxBytes/wire.MessageCost) && n > 0 {
			// More than there are messages here: the peer has given up the oldest meanwhile, or cheats.
			t.spans = slices.Delete(t.spans, 0, 1)
			a.spans--
			at--
		}
		t.spans = slices.Insert(t.spans, at, s)
	}
}

// owes has the session look at what listeners have settled: at once where it is much.
func (s *session) owes(much bool) {
	s.mu.Lock()
	if much || s.closing {
		s.tellNow = true
		s.poke()
	} else if s.tellDue == 0 {
		s.tellDue = s.all.now() + s.o.AckDelay
		s.pokeAt(s.tellDue)
	}
	s.unlock()
}

// collect takes what was settled off the inbox's account, and makes reports of it as far as they may be sent now. mu is
// held.
func (s *session) collect(now time.Duration) {
	s.tellNow, s.tellDue = false, 0
	a := s.account
	a.mu.Lock()
	cost := a.cost
	a.cost, a.due, a.now = 0, false, false
	for !s.tellHeld && s.pair.Peer() != 0 && len(a.owed) > 0 && s.send.MayReport() {
		s.report(a, now)
	}
	// A quarter of what one destination may have on the way at least: it may be waiting for that.
	a.much = min(s.o.InboxBytes/64, max(0, s.o.InboxBytes-s.recv.Cost()+cost)/256)
	a.mu.Unlock()
	s.taken(cost)
}

// report puts one report into the ring. mu and the account's are held.
func (s *session) report(a *account, now time.Duration) {
	t := &a.owed[0]
	b, n := wire.AppendReport(s.reportBuffer[:0], s.pair.Peer(), t.code, t.spans)
	s.reportBuffer = b
	s.all.sending.Add(int64(s.send.PushRecord(b, s.send.Expiry(now))))
	a.spans -= n
	if n < len(t.spans) {
		t.spans = append(t.spans[:0], t.spans[n:]...)
		return
	}
	last := len(a.owed) - 1
	a.owed[0], a.owed[last] = a.owed[last], told{spans: t.spans[:0]} // its memory stays for the next
	a.owed = a.owed[:last]
}

// reportedBy takes a record of the peer. mu is held.
func (s *session) reportedBy(text []byte) {
	incarnation, code, spans, ok, err := wire.ParseReport(text)
	if !ok { // of a kind that we do not know
		return
	}
	if err != nil || incarnation != s.pair.Own() {
		s.dropped++
		return
	}
	e := Event{Kind: Settled, Code: code}
	var watched []message.Message
	cost := 0
	for last := uint64(0); len(spans) > 0; {
		var sp wire.Span
		if sp, spans, err = wire.NextSpan(spans, last); err != nil {
			s.dropped++
			break
		}
		last = sp.B
		freed, ok := s.send.Taken(sp, func(m message.Message) { watched = append(watched, m) })
		if !ok {
			s.dropped++
			break
		}
		cost += freed
	}
	s.lost(watched, e)
	s.freed(cost, false)
}

// tellAgain takes reports that were given up back: they are made again when the peer is heard of. mu is held.
func (s *session) tellAgain(records [][]byte) {
	for _, r := range records {
		incarnation, code, spans, ok, err := wire.ParseReport(r)
		if !ok || err != nil || incarnation != s.pair.Peer() {
			continue
		}
		s.account.mu.Lock()
		for last := uint64(0); len(spans) > 0; {
			var sp wire.Span
			if sp, spans, err = wire.NextSpan(spans, last); err != nil {
				break
			}
			last = sp.B
			s.account.add(code, sp)
		}
		s.account.mu.Unlock()
		s.tellHeld = true
	}
}
