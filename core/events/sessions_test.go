package events

import (
	"slices"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

const remote, door message.URL = "hyperty-runtime://b.example/k", "hyperty-runtime://a.example/r/p2prequester/1"

// told is what the components were told, in order.
type told []string

func (l *told) Session(e session.Event)   { *l = append(*l, "tracker "+string(e.Kind)) }
func (l *told) GivenUp(session.Event)     { *l = append(*l, "refusals") }
func (l *told) Rejected(session.Event)    { *l = append(*l, "refusals") }
func (l *told) RuntimeGone(r message.URL) { *l = append(*l, "gone "+string(r)) }
func (l *told) Refresh(r message.URL)     { *l = append(*l, "refresh "+string(r)) }
func (l *told) Undelivered(r message.URL, _ []message.Message) {
	*l = append(*l, "undelivered "+string(r))
}
func (l *told) Suspect(r, d message.URL) { *l = append(*l, "suspect "+string(r)+" "+string(d)) }
func (l *told) trace(e trace.Event) {
	*l = append(*l, "trace "+string(e.Kind)+" "+string(e.Peer)+" "+e.Value)
}

// Each kind of event is told to those who have to act, and to no others.
func TestEvent(t *testing.T) {
	suspect := "suspect " + string(remote) + " " + string(door)
	for _, c := range []struct {
		kind   session.EventKind
		direct bool
		want   []string
	}{
		{session.Settled, false, nil},
		{session.Opened, false, nil},
		{session.Version, false, nil},
		{session.Refused, false, nil},
		{session.PathLost, true, nil},
		{session.Stalled, true, []string{suspect}},
		{session.Stalled, false, nil}, // a relay has no connection to give up
		{session.Left, true, []string{suspect}},
		{session.Reset, false, []string{"gone " + string(remote), "refresh " + string(remote), "refusals"}},
		{session.Gone, false, []string{"gone " + string(remote), "refresh " + string(remote)}},
		{session.Rejected, false, []string{"undelivered " + string(remote), "refusals"}},
		{session.Expired, false, []string{"undelivered " + string(remote), "refusals"}},
		{session.Closed, false, []string{"undelivered " + string(remote), "refusals"}},
		{session.Untrusted, false, []string{"trace untrusted " + string(remote) + " why"}},
	} {
		var got told
		var hub trace.Hub
		stop := hub.Watch(got.trace, false)
		s := Sessions{Tracker: &got, Refusals: &got, Connections: &got, Observers: &got, Log: hclog.NewNullLogger(), Trace: &hub}
		s.Event(session.Event{Kind: c.kind, Remote: remote, Path: session.Path{Door: door, Direct: c.direct}, Why: "why"})
		stop()
		if want := append([]string{"tracker " + string(c.kind)}, c.want...); !slices.Equal(got, want) {
			t.Errorf("%s, direct %v: told %q, want %q", c.kind, c.direct, got, want)
		}
	}
}
