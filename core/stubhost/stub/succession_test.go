package stub

import (
	"testing"

	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	handlerURL message.URL = "hyperty-runtime://example.com/r/p2phandler/x"
	peerURL    message.URL = "hyperty-runtime://example.com/peer"
)

// spoken is a run that has said so much of the peer; 0: nothing.
func spoken(last message.Status) *run {
	r := &run{status: status.New(handlerURL, "")}
	if last != 0 {
		says(r, last, peerURL)
	}
	return r
}

// says has the run say a status, and returns the event.
func says(r *run, value message.Status, resource message.URL) (m message.Message, b status.Body) {
	m = message.Message{ID: message.NumberID(1), Type: message.Update, From: handlerURL, To: handlerURL.Join("status"),
		Body: message.Encode(status.Body{Value: value, Resource: resource})}
	b, _ = r.status.See(&m)
	return m, b
}

func about(t message.Type, peer message.URL) *message.Message {
	return &message.Message{ID: message.NumberID(7), Type: t, Body: message.Encode(map[string]any{"peer": peer})}
}

// Which of two runs a message is for: before the younger one has taken over, and after.
func TestReceivers(t *testing.T) {
	for _, taken := range []bool{false, true} {
		elder, younger := spoken(message.Live), spoken(0)
		var s succession
		s.current = elder
		s.begin(younger)
		usual := elder
		if taken {
			s.takeOver()
			usual = younger
		}
		asked := message.Message{ID: message.NumberID(3), Type: message.Read}
		if pass, ready := s.hear(younger, &asked, status.Body{}, false); !pass || ready {
			t.Error("a request of the younger one is not for the core")
		}
		for _, c := range []struct {
			what     string
			m        *message.Message
			role     sdk.Role
			to, also *run
		}{
			{"any message", about(message.Read, ""), sdk.RoleHandler, usual, nil},
			{"the answer to the younger one", &message.Message{ID: message.NumberID(3), Type: message.Response}, sdk.RoleHandler, younger, nil},
			{"another answer", &message.Message{ID: message.NumberID(4), Type: message.Response}, sdk.RoleHandler, elder, nil},
			{"an update of a data object", about(message.Update, ""), sdk.RoleHandler, younger, elder},
			{"an update, to a node's stub", about(message.Update, ""), sdk.RoleNode, usual, nil},
			{"a command about the elder one's peer", about(message.Execute, peerURL), sdk.RoleHandler, elder, nil},
			{"a command about a new peer", about(message.Execute, "hyperty-runtime://example.com/new"), sdk.RoleHandler, usual, nil},
		} {
			if to, also := s.receivers(c.m, c.role); to != c.to || also != c.also {
				t.Errorf("%s, taken over %v: goes to the wrong run", c.what, taken)
			}
		}
		says(younger, message.Created, peerURL)
		if to, _ := s.receivers(about(message.Execute, peerURL), sdk.RoleHandler); to != usual {
			t.Errorf("a peer of both, taken over %v: goes to the wrong run", taken)
		}
	}
}

// One run has everything, and two are one again when the elder one has ended or the younger one was given up.
func TestOneRun(t *testing.T) {
	var s succession
	if to, also := s.receivers(about(message.Read, ""), sdk.RoleHandler); to != nil || also != nil || s.two() {
		t.Error("there is a run before the first")
	}
	first, second := spoken(message.Live), spoken(0)
	s.current = first
	s.begin(second)
	s.giveUp()
	if to, also := s.receivers(about(message.Update, ""), sdk.RoleHandler); to != first || also != nil || s.two() {
		t.Error("one that was given up still gets messages")
	}
	s.begin(second)
	s.takeOver()
	s.ended(second)
	if !s.two() {
		t.Error("the end of another run counts as the elder one's")
	}
	s.ended(first)
	if to, also := s.receivers(about(message.Update, ""), sdk.RoleHandler); to != second || also != nil || s.two() {
		t.Error("one that has ended still gets messages")
	}
}

// Two runs speak with one voice.
func TestOneVoice(t *testing.T) {
	probe := message.Message{ID: message.NumberID(probeNumber), Type: message.Response}
	elder, younger := spoken(message.Live), spoken(0)
	var s succession
	s.current = elder
	if pass, ready := s.hear(elder, &probe, status.Body{}, false); pass || ready {
		t.Error("a late answer to a probe is told or counts")
	}
	s.begin(younger)
	if pass, ready := s.hear(younger, &probe, status.Body{}, false); pass || !ready {
		t.Error("the answer to the probe does not count, or is told")
	}
	heard := func(r *run, value message.Status, resource message.URL) (pass, ready bool) {
		m, b := says(r, value, resource)
		return s.hear(r, &m, b, true)
	}
	if pass, ready := heard(younger, message.Live, ""); pass || !ready {
		t.Error("a younger run that is live is told of, or not ready")
	}
	s.takeOver()
	if pass, _ := heard(elder, message.Disconnected, ""); pass {
		t.Error("the core is told that the stub has ended, which goes on")
	}
	for _, c := range []struct {
		younger, elder message.Status
		pass           bool
	}{
		{0, message.Live, true}, {0, message.Disconnected, true},
		{message.Created, message.Live, false}, {message.Created, message.Disconnected, true},
		{message.Live, message.Live, false}, {message.Live, message.Disconnected, false},
	} {
		says(younger, message.Disconnected, peerURL)
		if c.younger != 0 {
			says(younger, c.younger, peerURL)
		}
		if pass, _ := heard(elder, c.elder, peerURL); pass != c.pass {
			t.Errorf("the younger one says %v, the elder one %v: told %v", c.younger, c.elder, pass)
		}
		if pass, _ := heard(younger, message.Live, peerURL); !pass {
			t.Error("the younger one is not heard")
		}
	}
}
