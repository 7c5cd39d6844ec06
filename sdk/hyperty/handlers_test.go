package hyperty

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// TestHandlers: a handler that is set counts from the next message on.
func TestHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := minibus.New(minibus.Options{Out: func(context.Context, message.Message) error { return nil }})
		h := New(bus, "hyperty://example.com/alice", runtimeURL, func(context.Context) error { bus.Close(); return nil })
		heard := ""
		give := func(kind message.Type, want string) {
			t.Helper()
			heard = ""
			bus.Deliver(t.Context(), message.Message{ID: message.NumberID(1), Type: kind, From: "hyperty://example.com/bob", To: h.URL()})
			synctest.Wait()
			if heard != want {
				t.Errorf("a %s was heard by %q, want %q", kind, heard, want)
			}
		}
		handler := func(name string) func(context.Context, Received) {
			return func(context.Context, Received) { heard += name }
		}
		give(message.Response, "")
		h.Handle(handler("first"))
		give(message.Update, "first")
		h.Handle(handler("second"))
		give(message.Update, "second")
		h.HandleResponses(func(context.Context, message.Message) { heard += "responses" })
		give(message.Response, "responses")
		give(message.Update, "second")
		h.HandleResponses(nil)
		give(message.Response, "")
		h.Handle(handler("third"))
		give(message.Update, "third")
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
