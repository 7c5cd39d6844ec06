package hyperty

import (
	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// settling is what became of the messages that came for a hyperty and that the runtime does not know of yet. Messages are numbered
// over all connections. The zero value has had none.
type settling struct {
	count    uint64                 // messages that came
	before   uint64                 // the last one of earlier connections: nobody is told of those
	units    int                    // of messages that were taken or returned, to be sent again
	taken    []apiwire.Span         // numbers on this connection
	returned map[int][]apiwire.Span // by code: those that nobody takes
}

// next numbers a message that has come.
func (s *settling) next() uint64 {
	s.count++
	return s.count
}

// begin is told that a connection has ended: what came on it is in doubt, or will be sent to nobody again.
func (s *settling) begin() {
	s.before, s.units = s.count, 0
	s.taken, s.returned = s.taken[:0], nil
}

// done is told what became of a message: it was taken (code 200), or nobody takes it. It is false for one that came on an earlier
// connection.
func (s *settling) done(number uint64, units, code int) bool {
	if number <= s.before {
		return false
	}
	s.units += units
	if number -= s.before; code == message.CodeOK {
		s.taken = apiwire.AddTo(s.taken, number)
		return true
	}
	if s.returned == nil {
		s.returned = map[int][]apiwire.Span{}
	}
	s.returned[code] = apiwire.AddTo(s.returned[code], number)
	return true
}

// tell adds the records that say so to out, and that so many responses came. What is returned goes first: from then on the runtime
// knows that messages are settled by number, and does not take credit alone for messages that were taken.
func (s *settling) tell(ref uint32, responses int, out *apiwire.Queue) {
	for code, posts := range s.returned {
		out.Returned(&apiwire.Returned{Ref: ref, Code: uint32(code), Posts: posts})
	}
	out.Credit(&apiwire.Credit{Ref: ref, Units: uint32(s.units), Responses: uint32(responses), Posts: s.taken})
	s.units, s.taken, s.returned = 0, s.taken[:0], nil
}
