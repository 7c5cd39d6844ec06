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

// spoken is a run that has reported this status of the peer; 0: none.
func spoken(last message.Status) *run {
	r := &run{status: status.New(handlerURL, "")}
	if last != 0 {
		says(r, last, peerURL)
	}
	return r
}

// says has the run report a status, and returns the event.
func says(r *run, value message.Status, resource message.URL) (m message.Message, b status.Body) {
	m = message.Message{ID: message.NumberID(1), Type: message.Update, From: handlerURL, To: handlerURL.Join("status"),
		Body: message.Encode(status.Body{Value: value, Resource: resource})}
	b, _ = r.status.See(&m)
	return m, b
}

func about(t message.Type, peer message.URL) *message.Message {
	return &message.Message{ID: message.NumberID(7), Type: t, Body: message.Encode(map[string]any{"peer": peer})}
}

// Which of two runs gets a message: before the newer one has taken over, and after.
func TestReceivers(t *testing.T) {
	for _, taken := range []bool{false, true} {
		older, newer := spoken(message.Live), spoken(0)
		var s runs
		s.current = older
		s.begin(newer)
		usual := older
		if taken {
			s.takeOver()
			usual = newer
		}
		asked := message.Message{ID: message.NumberID(3), Type: message.Read}
		if pass, ready := s.observe(newer, &asked, status.Body{}, false); !pass || ready {
			t.Error("a request of the newer one is not for the core")
		}
		for _, c := range []struct {
			what     string
			m        *message.Message
			role     sdk.Role
			to, also *run
		}{
			{"any message", about(message.Read, ""), sdk.RoleHandler, usual, nil},
			{"the answer to the newer one", &message.Message{ID: message.NumberID(3), Type: message.Response}, sdk.RoleHandler, newer, nil},
			{"another answer", &message.Message{ID: message.NumberID(4), Type: message.Response}, sdk.RoleHandler, older, nil},
			{"an update of a data object", about(message.Update, ""), sdk.RoleHandler, newer, older},
			{"an update, to a node's stub", about(message.Update, ""), sdk.RoleNode, usual, nil},
			{"a command about the older one's peer", about(message.Execute, peerURL), sdk.RoleHandler, older, nil},
			{"a command about a new peer", about(message.Execute, "hyperty-runtime://example.com/new"), sdk.RoleHandler, usual, nil},
		} {
			if to, also := s.receivers(c.m, c.role); to != c.to || also != c.also {
				t.Errorf("%s, taken over %v: goes to the wrong run", c.what, taken)
			}
		}
		says(newer, message.Created, peerURL)
		if to, _ := s.receivers(about(message.Execute, peerURL), sdk.RoleHandler); to != usual {
			t.Errorf("a peer of both, taken over %v: goes to the wrong run", taken)
		}
	}
}

// One run gets everything. Two are one again when the older one has ended or the newer one was given up.
func TestOneRun(t *testing.T) {
	var s runs
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
		t.Error("the end of another run counts as the older one's")
	}
	s.ended(first)
	if to, also := s.receivers(about(message.Update, ""), sdk.RoleHandler); to != second || also != nil || s.two() {
		t.Error("one that has ended still gets messages")
	}
}

// Two runs report one consistent status.
func TestOneVoice(t *testing.T) {
	probe := message.Message{ID: message.NumberID(probeNumber), Type: message.Response}
	older, newer := spoken(message.Live), spoken(0)
	var s runs
	s.current = older
	if pass, ready := s.observe(older, &probe, status.Body{}, false); pass || ready {
		t.Error("a late answer to a probe is told or counts")
	}
	s.begin(newer)
	if pass, ready := s.observe(newer, &probe, status.Body{}, false); pass || !ready {
		t.Error("the answer to the probe does not count, or is told")
	}
	heard := func(r *run, value message.Status, resource message.URL) (pass, ready bool) {
		m, b := says(r, value, resource)
		return s.observe(r, &m, b, true)
	}
	if pass, ready := heard(newer, message.Live, ""); pass || !ready {
		t.Error("a newer run that is live is told of, or not ready")
	}
	s.takeOver()
	if pass, _ := heard(older, message.Disconnected, ""); pass {
		t.Error("the core is told that the stub has ended, which goes on")
	}
	for _, c := range []struct {
		newer, older message.Status
		pass         bool
	}{
		{0, message.Live, true}, {0, message.Disconnected, true},
		{message.Created, message.Live, false}, {message.Created, message.Disconnected, true},
		{message.Live, message.Live, false}, {message.Live, message.Disconnected, false},
	} {
		says(newer, message.Disconnected, peerURL)
		if c.newer != 0 {
			says(newer, c.newer, peerURL)
		}
		if pass, _ := heard(older, c.older, peerURL); pass != c.pass {
			t.Errorf("the newer one says %v, the older one %v: told %v", c.newer, c.older, pass)
		}
		if pass, _ := heard(newer, message.Live, peerURL); !pass {
			t.Error("the newer one is not heard")
		}
	}
}
