package sender

import (
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Report is what the peer has said became of our messages.
type Report struct {
	Code       int               // 200: they were taken; else that of the response that refuses them
	Why        string            // of a refusal: what the senders are to be told
	Refused    []message.Message // messages, without their bodies, whose senders are to be told that they were refused
	Watched    []message.Message // others of them that are watched, without their bodies
	Freed      int               // of the total of all sessions
	Impossible bool              // it is of another incarnation, or of messages that were not acknowledged
}

// Reported takes a record of the peer's to the incarnation own of this runtime. It is false where the record is no report.
func (s *Sender) Reported(record []byte, own uint64) (r Report, ok bool) {
	list := &r.Watched
	incarnation, code, spans, ok, err := wire.ParseReport(record)
	if !ok {
		incarnation, code, r.Why, spans, ok, err = wire.ParseRefusal(record)
		list = &r.Refused
	}
	if !ok { // of a kind that we do not know
		return r, false
	}
	if err != nil || incarnation != own {
		r.Impossible = true
		return r, true
	}
	r.Code = code
	for last := uint64(0); len(spans) > 0; {
		var sp wire.Span
		if sp, spans, err = wire.NextSpan(spans, last); err != nil {
			r.Impossible = true
			break
		}
		last = sp.B
		freed, ok := s.taken(sp, list, list == &r.Refused)
		if !ok {
			r.Impossible = true
			break
		}
		r.Freed += freed
	}
	return r, true
}

// taken forgets the messages in a span: the peer says that they are settled. Those that are watched, or all, are added to the list.
// It is false where that is impossible: nobody takes what was not acknowledged.
func (s *Sender) taken(sp wire.Span, list *[]message.Message, all bool) (freed int, ok bool) {
	if sp.B > s.ring.base {
		return 0, false
	}
	before := s.out.live
	s.out.done(sp.A, sp.B, func(r *record) {
		if all || r.watched {
			*list = append(*list, r.message())
		}
	})
	return (before - s.out.live) * recordCost, true
}
