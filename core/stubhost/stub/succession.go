package stub

import (
	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// probeNumber is the ID of the probe to a run that is to take over. A stub's own requests count from below it.
const probeNumber = 1<<64 - 1

// maxAsked bounds how many requests of a run are remembered.
const maxAsked = 1 << 12

// succession is the runs of one stub: the current one, and while a new process takes the stub over, a second one. It decides
// which of two a message is for, and which of them speaks for the stub. The zero value has no run.
type succession struct {
	current *run                    // nil between two
	next    *run                    // is being started beside current, to take over from it
	older   *run                    // current has taken over from it, and it has not ended yet
	asked   map[message.ID]struct{} // the requests of the younger one of two
}

// two tells whether there are two runs.
func (s *succession) two() bool { return s.next != nil || s.older != nil }

// begin notes that r is being started beside the current run.
func (s *succession) begin(r *run) { s.next, s.asked = r, map[message.ID]struct{}{} }

// giveUp notes that the run which was being started does not take over.
func (s *succession) giveUp() { s.next, s.asked = nil, nil }

// takeOver makes the run that was being started the current one.
func (s *succession) takeOver() { s.older, s.current, s.next = s.current, s.next, nil }

// ended notes that the run r, which was taken over from, has ended.
func (s *succession) ended(r *run) {
	if s.older == r {
		s.older, s.asked = nil, nil
	}
}

// receivers is for which run a message to the stub is, and which one it is for too. Either may be nil.
func (s *succession) receivers(m *message.Message, role sdk.Role) (to, also *run) {
	younger, elder := s.next, s.current
	if younger == nil {
		younger, elder = s.current, s.older
	}
	switch {
	case younger == nil || elder == nil:
		return s.current, nil
	case m.Type == message.Response:
		if _, asked := s.asked[m.ID.Key()]; asked {
			return younger, nil
		}
		return elder, nil
	case role == sdk.RoleHandler && (m.Type == message.Update || m.Type == message.Delete):
		return younger, elder // of a data object: the one that knows it takes it
	case role == sdk.RoleHandler && (m.Type == message.Subscribe || m.Type == message.Execute):
		if peer := peerOf(m); elder.status.Of(peer) != 0 && younger.status.Of(peer) == 0 {
			return elder, nil
		}
	}
	return s.current, nil
}

// hear notes what the run r posts. pass says whether the message is for the core, and ready that it shows r to be fit to take
// over. b is the message's body where it is a status event.
//
// While there are two runs they speak with one voice: of a peer that both have known, the younger one's word counts once it has
// a connection with it; until then only the end of the older one's connection is told too.
func (s *succession) hear(r *run, m *message.Message, b status.Body, isStatus bool) (pass, ready bool) {
	if r == s.next || r == s.current && s.older != nil {
		if isProbe(m) {
			return false, true
		}
		if m.Type != message.Response && len(s.asked) < maxAsked {
			s.asked[m.ID.Key()] = struct{}{}
		}
	}
	switch {
	case isProbe(m):
		return false, false // it comes late
	case !isStatus:
		return true, false
	case r == s.next && b.Resource == "":
		return false, b.Value == message.Live
	case r == s.older && b.Resource == "":
		return false, false // the stub goes on
	case r == s.older && s.current != nil:
		switch younger := s.current.status.Of(b.Resource); younger {
		case 0:
			return true, false
		case message.Live:
			return false, false
		default:
			return b.Value == message.Disconnected, false
		}
	}
	return true, false
}

// isProbe tells whether m is the answer to a probe.
func isProbe(m *message.Message) bool {
	return m.Type == message.Response && m.ID.Key() == message.NumberID(probeNumber).Key()
}

// peerOf is the remote runtime that a command to a Handler is about, or "".
func peerOf(m *message.Message) message.URL {
	var body struct {
		Peer   message.URL   `json:"peer"`
		Params []message.URL `json:"params"`
	}
	if m.Decode(&body) != nil {
		return ""
	}
	if body.Peer == "" && len(body.Params) == 1 {
		body.Peer = body.Params[0]
	}
	return body.Peer
}
