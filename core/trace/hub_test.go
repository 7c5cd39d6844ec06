package trace_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHub(t *testing.T) {
	var h trace.Hub
	m := message.Message{ID: message.NumberID(3), Type: message.Read, From: "hyperty://e/a", To: "hyperty://e/b", Body: make([]byte, 2000)}
	h.Message(trace.Post, m, trace.Event{}) // nobody watches
	var got []trace.Event
	stop := h.Watch(func(e trace.Event) { got = append(got, e) }, true)
	var bare []trace.Event
	defer h.Watch(func(e trace.Event) { bare = append(bare, e) }, false)()
	h.Message(trace.Post, m, trace.Event{Value: "why"})
	stop()
	h.Emit(trace.Event{Kind: trace.Door})
	if len(got) != 1 || got[0].Kind != trace.Post || got[0].To != m.To || got[0].ID != "3" || got[0].Value != "why" ||
		got[0].At.IsZero() || len(got[0].Body) != 512 {
		t.Errorf("%+v", got)
	}
	if len(bare) != 2 || bare[0].To != m.To || bare[0].Body != "" {
		t.Errorf("without bodies: %+v", bare)
	}
	if (*trace.Hub)(nil).Watched() {
		t.Error("a nil hub is watched")
	}
}

func BenchmarkUnwatched(b *testing.B) {
	var h trace.Hub
	m := message.Message{ID: message.NumberID(3), Type: message.Read, From: "hyperty://e/a", To: "hyperty://e/b", Body: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		h.Message(trace.Post, m, trace.Event{})
	}
}
