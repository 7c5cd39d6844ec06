package stubtest

import (
	"slices"
	"testing"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Conform tests what every stub has to do: make makes it, o starts it. It need not reach anything: the tests are about how it
// begins, ends, and behaves toward the core.
func Conform(t *testing.T, make func() sdk.Stub, o Options) {
	t.Run("says that it is created, first and from its own address", func(t *testing.T) {
		l := Run(t, make(), o)
		if o.Start.Role == sdk.RoleHandler || o.Start.Restarted {
			l.Stop()
			return
		}
		resource := message.URL("")
		if o.Start.Role == sdk.RoleRequester {
			resource = o.Start.Remote
		}
		l.Status(resource, message.Created)
		l.Stop()
		for _, m := range l.all() {
			if e, ok := statusOf(l.URL, m); ok && (m.From.Canonical() != l.URL.Canonical() || m.Type != message.Update) {
				t.Errorf("status %s came as %s from %s", e.Value, m.Type, m.From)
			}
		}
		checkOrder(t, l.Statuses(resource))
	})
	t.Run("ends when it is asked to, and ends again after a restart", func(t *testing.T) {
		l := Run(t, make(), o)
		l.Stop()
		again := o
		again.Start.Restarted = true
		l.Also(again).Stop()
	})
	t.Run("runs several instances in one process", func(t *testing.T) {
		o := o
		o.defaults()
		l := Run(t, make(), o)
		second := o
		second.Start.URL = o.Start.URL + "-second"
		m := l.Also(second)
		l.Stop()
		l.quiet()
		m.run.mu.Lock()
		ended, why := m.run.ended, m.run.err
		m.run.mu.Unlock()
		if ended {
			t.Errorf("the end of one instance has ended another: %s", why)
		}
		m.Stop()
	})
	t.Run("survives messages that it does not know", func(t *testing.T) {
		l := Run(t, make(), o)
		for _, m := range strange(l) {
			l.Post(m)
		}
		l.quiet()
		l.Stop()
	})
}

// strange is messages that no stub expects.
func strange(l *Link) []message.Message {
	from := l.o.Start.Runtime.Join("registry")
	return []message.Message{
		{ID: message.NumberID(1), Type: message.Execute, From: from, To: l.URL, Body: message.Encode(map[string]any{"method": "no-such-method", "params": 7})},
		{ID: message.NumberID(2), Type: message.Execute, From: from, To: l.URL, Body: message.Encode(map[string]any{"method": []int{1}})},
		{ID: message.NumberID(3), Type: message.Subscribe, From: from, To: l.URL, Body: message.Encode(map[string]any{"subscribe": map[string]int{}})},
		{ID: message.NumberID(4), Type: message.Delete, From: from, To: l.URL},
		{ID: message.NumberID(5), Type: message.Event, From: from, To: l.URL.Join("no", "such", "part")},
		{ID: message.NumberID(6), Type: message.Response, From: from, To: l.URL, Body: message.Encode(map[string]any{"code": "x"})},
	}
}

func (l *Link) all() []message.Message {
	l.run.mu.Lock()
	defer l.run.mu.Unlock()
	return slices.Clone(l.run.seen)
}

// checkOrder compares the order of statuses with the specification's figure.
func checkOrder(t *testing.T, all []message.Status) {
	t.Helper()
	next := map[message.Status][]message.Status{
		0:                    {message.Created},
		message.Created:      {message.InProgress, message.Failed, message.Live, message.Disconnected},
		message.InProgress:   {message.Live, message.Failed, message.Disconnected},
		message.Live:         {message.Disconnected},
		message.Disconnected: {message.InProgress, message.Live, message.Created},
		message.Failed:       {message.InProgress, message.Created},
	}
	var last message.Status
	for _, s := range all {
		if !slices.Contains(next[last], s) {
			t.Errorf("status %s after %s, in %v", s, last, all)
		}
		last = s
	}
}
