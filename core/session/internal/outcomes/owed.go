package outcomes

import (
	"slices"
	"strings"

	"github.com/protofly/protofly/core/session/internal/wire"
)

const (
	minSpans = 4 << 10 // spans that may wait, also where the inbox is small
	maxTold  = 64      // outcomes that are told apart; the reasons of more refusals are left out
)

// outcome is what became of a message.
type outcome struct {
	code  int    // as in a response: 200 is taken
	tells bool   // a refusal that the peer is to tell the sender of, who has not been answered
	why   string // then
}

// told is the messages of which the same is to be told.
type told struct {
	outcome
	spans []wire.Span
}

// follows tells whether message number is the one behind the last of these.
func (t *told) follows(o outcome, number uint64) bool {
	return t.outcome == o && len(t.spans) > 0 && t.spans[len(t.spans)-1].B == number
}

// Owed is what this side owes one incarnation of the remote runtime word of. A report of it is a record of the session: it has
// a number among the messages, is acknowledged like them and sent again, and is not counted as one.
type Owed struct {
	inbox  int // bytes that the messages may have here
	cost   int // of what was settled since it was collected
	much   int // from what cost on it is to be collected at once
	list   []told
	spans  int  // in list
	most   int  // of spans
	due    bool // the owner knows that something is owed
	now    bool // and that it is much
	buffer []byte
}

// NewOwed is for a peer whose messages have an inbox of so many bytes here.
func NewOwed(inbox int) Owed {
	return Owed{inbox: inbox, much: inbox / 64, most: max(minSpans, inbox/wire.MessageCost)}
}

// Settle notes what became of a message. first: nothing was owed before; much: it is to be collected at once from now on.
func (a *Owed) Settle(number uint64, cost uint32, code int) (first, much bool) {
	return a.settle(number, cost, outcome{code: code})
}

// Refuse is Settle for a message that was refused, whose sender has not been answered: the peer is to tell it why.
func (a *Owed) Refuse(number uint64, cost uint32, code int, why string) (first, much bool) {
	if len(why) > wire.MaxWhy {
		why = strings.ToValidUTF8(why[:wire.MaxWhy], "")
	}
	return a.settle(number, cost, outcome{code, true, why})
}

func (a *Owed) settle(number uint64, cost uint32, o outcome) (first, much bool) {
	a.cost += int(cost)
	first, much = !a.due, !a.now && a.cost >= a.much
	a.due = true
	a.now = a.now || much
	if n := len(a.list); n == 1 && a.list[0].follows(o, number) { // as it is nearly always
		t := &a.list[0]
		t.spans[len(t.spans)-1].B = number + 1
	} else {
		a.add(o, wire.Span{A: number, B: number + 1})
	}
	return first, much
}

// Collect says what the messages count for that were settled since the last time.
func (a *Owed) Collect() (cost int) {
	cost = a.cost
	a.cost, a.due, a.now = 0, false, false
	return cost
}

// Room notes how many bytes the inbox has room for. What is settled is collected at once when it counts for a quarter of what
// one destination may have on the way then, at the least: the sender may be waiting for that.
func (a *Owed) Room(bytes int) { a.much = min(a.inbox/64, max(0, bytes)/256) }

// Report is the next report to an incarnation, as a record, and what it says is owed no more; false: nothing is owed. The
// record is overwritten by the next.
func (a *Owed) Report(incarnation uint64) (record []byte, ok bool) {
	if len(a.list) == 0 {
		return nil, false
	}
	t := &a.list[0]
	var n int
	if t.tells {
		record, n = wire.AppendRefusal(a.buffer[:0], incarnation, t.code, t.why, t.spans)
	} else {
		record, n = wire.AppendReport(a.buffer[:0], incarnation, t.code, t.spans)
	}
	a.buffer = record
	a.spans -= n
	if n < len(t.spans) {
		t.spans = append(t.spans[:0], t.spans[n:]...)
		return record, true
	}
	last := len(a.list) - 1
	a.list[0], a.list[last] = a.list[last], told{spans: t.spans[:0]} // its memory stays for the next
	a.list = a.list[:last]
	return record, true
}

// GiveBack takes a report to an incarnation back that was not acknowledged: what it says is owed again. It is false where the
// record is no such report.
func (a *Owed) GiveBack(record []byte, incarnation uint64) bool {
	var o outcome
	to, code, spans, ok, err := wire.ParseReport(record)
	if !ok {
		to, code, o.why, spans, ok, err = wire.ParseRefusal(record)
		o.tells = true
	}
	o.code = code
	if !ok || err != nil || to != incarnation {
		return false
	}
	for last := uint64(0); len(spans) > 0; {
		var sp wire.Span
		if sp, spans, err = wire.NextSpan(spans, last); err != nil {
			break
		}
		last = sp.B
		a.add(o, sp)
	}
	return true
}

// Empty tells whether nothing is owed and everything was collected.
func (a *Owed) Empty() bool { return len(a.list) == 0 && a.cost == 0 }

// Forget forgets what is owed: there is nobody any more to be told.
func (a *Owed) Forget() { a.list, a.spans = nil, 0 }

// add notes a span.
func (a *Owed) add(o outcome, s wire.Span) {
	i := slices.IndexFunc(a.list, func(t told) bool { return t.outcome == o })
	if i < 0 && len(a.list) >= maxTold && o.why != "" {
		o.why = ""
		i = slices.IndexFunc(a.list, func(t told) bool { return t.outcome == o })
	}
	if i < 0 {
		if i = len(a.list); i < cap(a.list) { // with the memory of an earlier one
			a.list = a.list[:i+1]
			a.list[i] = told{o, a.list[i].spans[:0]}
		} else {
			a.list = append(a.list, told{outcome: o})
		}
	}
	t := &a.list[i]
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
	case a.spans >= a.most && at == 0: // it would be the first to go
	default:
		if a.spans++; a.spans > a.most && n > 0 {
			// More than there are messages here: the peer has given up the oldest meanwhile, or cheats.
			t.spans = slices.Delete(t.spans, 0, 1)
			a.spans--
			at--
		}
		t.spans = slices.Insert(t.spans, at, s)
	}
}
