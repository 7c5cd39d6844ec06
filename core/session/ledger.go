package session

import (
	"errors"
	"sync"

	"github.com/protofly/protofly/core/session/internal/outcomes"
	"github.com/protofly/protofly/sdk/message"
)

// ledger is where listeners settle the messages of one incarnation of the remote runtime, without holding up its session.
type ledger struct {
	owner settler

	mu     sync.Mutex
	owed   outcomes.Owed
	closed bool // the incarnation is gone
}

// settler is who is told what becomes of the messages in a ledger.
type settler interface {
	// owes is told that something is owed to the peer, and whether that is much.
	owes(much bool)
	// settledLate is told that a message of an incarnation that is gone was settled, which has counted for so much.
	settledLate(cost int)
	// refuse is told that nobody will take m, and that its sender does not know.
	refuse(m message.Message, why error)
}

// Settled is told by listeners what became of a message; see minibus.Taker.
func (a *ledger) Settled(number uint64, cost uint32, code int) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		a.owner.settledLate(int(cost))
		return
	}
	first, much := a.owed.Settle(number, cost, code)
	a.mu.Unlock()
	if first || much {
		a.owner.owes(much)
	}
}

// Failed is told by listeners that nobody will take m; see minibus.Taker.
func (a *ledger) Failed(number uint64, cost uint32, m message.Message, why error) {
	code := message.CodeError
	var known *message.ResponseError
	if errors.As(why, &known) {
		code = known.Code
	}
	a.Settled(number, cost, code)
	a.owner.refuse(m, why)
}
