package stub

import (
	"testing"

	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// linked is a run with a lane that nobody reads; with ended, nothing can be sent by the lane.
func linked(ended bool) *run {
	r := spoken(message.Live)
	r.lane = link.New(nil, nil).Lane(1, 0)
	if ended {
		r.lane.End()
	}
	return r
}

// TryPost sends a message to the run that Post would send it to, and not to only one of two runs that must get it.
func TestTryPostDuringATakeover(t *testing.T) {
	const ended = true
	answer := message.Message{ID: message.NumberID(3), Type: message.Response}
	s := &Stub{Spec: Spec{URL: handlerURL, Role: sdk.RoleHandler}, o: &Options{}}
	if s.TryPost(answer) {
		t.Error("a stub without a run takes a message")
	}
	newer := linked(!ended)
	s.runs.current = linked(ended)
	s.runs.begin(newer)
	_, _ = s.runs.observe(newer, &message.Message{ID: message.NumberID(3), Type: message.Read}, status.Body{}, false)
	if !s.TryPost(answer) {
		t.Error("the answer to the newer run does not go to it")
	}
	answer.ID = message.NumberID(4)
	if s.TryPost(answer) {
		t.Error("another answer goes to the newer run")
	}
	s.runs.current.lane, newer.lane = newer.lane, s.runs.current.lane
	if !s.TryPost(answer) {
		t.Error("another answer does not go to the older run")
	}
	if s.TryPost(message.Message{ID: message.NumberID(5), Type: message.Update}) {
		t.Error("what is for both runs goes to one")
	}
}
