package outcomes

import (
	"errors"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Ledger is where listeners settle the messages of one incarnation of the remote runtime. It has a lock of its own, and is safe
// for use by many goroutines: so listeners do not wait for the session. Nobody's lock is held when its owner is told.
type Ledger struct {
	owner Owner

	mu     sync.Mutex
	owed   Owed
	closed bool // the incarnation is gone
	tells  bool // it tells its senders itself of what is refused here
}

// Owner is who is told what becomes of the messages in a [Ledger].
type Owner interface {
	// Owes is told that something is owed to the peer, and whether that is much.
	Owes(much bool)
	// SettledLate is told that a message of an incarnation that is gone was settled, which has counted for so much.
	SettledLate(cost int)
	// Refuse is told that nobody will take m, and that its sender does not know.
	Refuse(m message.Message, why error)
}

// NewLedger is for an incarnation whose messages have an inbox of so many bytes here.
func NewLedger(owner Owner, inbox int) *Ledger {
	return &Ledger{owner: owner, owed: NewOwed(inbox)}
}

// Next closes l, and makes the ledger of the next incarnation, with the same owner.
func (l *Ledger) Next(inbox int) *Ledger {
	l.Close()
	return NewLedger(l.owner, inbox)
}

// Tells notes that the incarnation tells its senders itself of what is refused here.
func (l *Ledger) Tells(does bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tells = does
}

// Settled is told by listeners what became of a message; see minibus.Taker.
func (l *Ledger) Settled(number uint64, cost uint32, code int) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.owner.SettledLate(int(cost))
		return
	}
	first, much := l.owed.Settle(number, cost, code)
	l.mu.Unlock()
	if first || much {
		l.owner.Owes(much)
	}
}

// Failed is told by listeners that nobody will take m; see minibus.Taker.
func (l *Ledger) Failed(number uint64, cost uint32, m message.Message, why error) {
	if l.Refuse(number, cost, m, why) {
		return
	}
	code, _ := reason(why)
	l.Settled(number, cost, code)
	l.owner.Refuse(m, why)
}

// Refuse is told that m is refused: the peer is told why, and tells m's sender. It is false, and nothing has happened, where the
// peer cannot do that: then m's sender is to be answered, and the message settled.
func (l *Ledger) Refuse(number uint64, cost uint32, _ message.Message, why error) (told bool) {
	code, text := reason(why)
	l.mu.Lock()
	if l.closed || !l.tells || code < 300 || code > 999 {
		l.mu.Unlock()
		return false
	}
	first, much := l.owed.Refuse(number, cost, code, text)
	l.mu.Unlock()
	if first || much {
		l.owner.Owes(much)
	}
	return true
}

// reason is the code and the text of a refusal.
func reason(why error) (code int, text string) {
	var known *message.ResponseError
	if errors.As(why, &known) {
		return known.Code, known.Description
	}
	return message.CodeError, why.Error()
}

// Collect is [Owed.Collect].
func (l *Ledger) Collect() (cost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed.Collect()
}

// Report is [Owed.Report]. One goroutine at a time calls it, and uses the record before it calls it again.
func (l *Ledger) Report(incarnation uint64) (record []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed.Report(incarnation)
}

// Room is [Owed.Room].
func (l *Ledger) Room(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed.Room(bytes)
}

// GiveBack takes reports back that were not acknowledged: what they say is owed again. It is false where none of the records is
// a report to that incarnation.
func (l *Ledger) GiveBack(records [][]byte, incarnation uint64) (any bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		any = l.owed.GiveBack(r, incarnation) || any
	}
	return any
}

// Empty is [Owed.Empty].
func (l *Ledger) Empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed.Empty()
}

// Close forgets what is owed: the incarnation is gone. Its messages that are still here are settled with Owner.SettledLate.
func (l *Ledger) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.owed.Forget()
}
