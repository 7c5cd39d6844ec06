package api

import (
	"context"
	"encoding/json"

	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// From one application through the runtime to another, over two sockets.
func BenchmarkThroughTheSocket(b *testing.B) {
	for name, size := range map[string]int{"100B": 50, "1KiB": 974, "16KiB": 16<<10 - 50, "256KiB": 256<<10 - 50} {
		b.Run(name, func(b *testing.B) {
			h, socket := newHouse(b), socketPath(b)
			serve(b, h, socket)
			alice := register(b, dial(b, hyperty.Options{Socket: socket}), "alice")
			bob := register(b, dial(b, hyperty.Options{Socket: socket}), "bob")
			var received atomic.Int64
			bob.Handle(func(context.Context, hyperty.Received) { received.Add(1) })
			body := json.RawMessage(`{"value":"` + strings.Repeat("x", size) + `"}`)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			sent := int64(0)
			spent := measure()
			for b.Loop() {
				if err := alice.Post(b.Context(), message.Message{Type: message.Update, To: bob.URL(), Body: body}); err != nil {
					b.Fatal(err)
				}
				sent++
			}
			for received.Load() < sent {
				time.Sleep(10 * time.Microsecond)
			}
			spent(b)
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	h, socket := newHouse(b), socketPath(b)
	serve(b, h, socket)
	alice := register(b, dial(b, hyperty.Options{Socket: socket}), "alice")
	bob := register(b, dial(b, hyperty.Options{Socket: socket}), "bob")
	bob.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, nil) })
	b.ReportAllocs()
	spent := measure()
	for b.Loop() {
		if _, err := alice.Request(b.Context(), bob.URL(), message.Read, nil); err != nil {
			b.Fatal(err)
		}
	}
	spent(b)
}
