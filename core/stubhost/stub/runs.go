package stub

import (
	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// probeNumber is the ID of the probe, a request to a run that is about to take over. A stub's own requests have lower numbers.
const probeNumber = 1<<64 - 1

// maxAsked bounds how many requests of a run are remembered.
const maxAsked = 1 << 12

// runs has the runs of one stub: the current one, and while a new process takes the stub over, a second one. It decides
// which of two runs gets a message, and which of them reports a status. The zero value has no run.
type runs struct {
	current *run                    // nil between the end of one run and the start of the next
	next    *run                    // started beside current, to take over from it
	older   *run                    // current has taken over from it, and it has not ended yet
	asked   map[message.ID]struct{} // IDs of the requests that the newer of two runs has sent
}

// two tells whether there are two runs.
func (s *runs) two() bool { return s.next != nil || s.older != nil }

// begin notes that r has been started beside the current run.
func (s *runs) begin(r *run) { s.next, s.asked = r, map[message.ID]struct{}{} }

// giveUp notes that the run which was started beside the current one does not take over.
func (s *runs) giveUp() { s.next, s.asked = nil, nil }

// takeOver makes the run that was started beside the current one the current one.
func (s *runs) takeOver() { s.older, s.current, s.next = s.current, s.next, nil }

// ended notes that r, from which the current run has taken over, has ended.
func (s *runs) ended(r *run) {
	if s.older == r {
		s.older, s.asked = nil, nil
	}
}

// receivers returns the run that gets a message to the stub, and a second run that gets it too. Either may be nil.
func (s *runs) receivers(m *message.Message, role sdk.Role) (to, also *run) {
	newer, older := s.next, s.current
	if newer == nil {
		newer, older = s.current, s.older
	}
	switch {
	case newer == nil || older == nil:
		return s.current, nil
	case m.Type == message.Response:
		if _, asked := s.asked[m.ID.Key()]; asked {
			return newer, nil
		}
		return older, nil
	case role == sdk.RoleHandler && (m.Type == message.Update || m.Type == message.Delete):
		return newer, older // of a data object: the run that does not know the object ignores it
	case role == sdk.RoleHandler && (m.Type == message.Subscribe || m.Type == message.Execute):
		if peer := peerOf(m); older.status.Of(peer) != 0 && newer.status.Of(peer) == 0 {
			return older, nil
		}
	}
	return s.current, nil
}

// observe notes a message that the run r posts. pass says whether the message is for the core, ready whether it shows that r
// is ready to take over. b is the message's body where it is a status event.
//
// While there are two runs, the core gets one consistent status of each peer. If both runs know the peer, the newer run's
// status counts once it has a connection with the peer; until then the end of the older run's connection counts too.
func (s *runs) observe(r *run, m *message.Message, b status.Body, isStatus bool) (pass, ready bool) {
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
		return false, false // an answer that comes after the takeover
	case !isStatus:
		return true, false
	case r == s.next && b.Resource == "":
		return false, b.Value == message.Live
	case r == s.older && b.Resource == "":
		return false, false // the newer run reports the stub's own status
	case r == s.older && s.current != nil:
		switch newer := s.current.status.Of(b.Resource); newer {
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

// isProbe tells whether m is the answer to the probe.
func isProbe(m *message.Message) bool {
	return m.Type == message.Response && m.ID.Key() == message.NumberID(probeNumber).Key()
}

// peerOf returns the remote runtime that a command to a Handler is about, or "".
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
