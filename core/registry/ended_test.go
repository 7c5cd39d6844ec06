package registry

import (
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// No message is sent to an address that its runtime has given up, and others may claim it: over live connections, while the
// Message Node is away. A message that its runtime has posted from there before, and that waits here, is still accepted.
func TestEndedIsNotBelieved(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(func(o *Options) { o.Changes.Off = true })
		const moving message.URL = "hyperty://example.com/moving"
		const other message.URL = "hyperty-runtime://example.com/other"
		node := a.url.Join("protostub", "example.com")
		w.change(func() { w.down = true })
		a.status(node, message.Live, "")
		a.status(node, message.Disconnected, "")
		settle(time.Millisecond)
		a.reg.Announced(w.ctx, b.url, []message.URL{moving})
		if route, err := a.resolve(moving); err != nil || route.Remote != b.url {
			t.Fatalf("%+v, %v", route, err)
		}
		a.reg.Announced(w.ctx, other, []message.URL{"hyperty://example.com/others"}) // so it is known
		a.reg.Ended(w.ctx, other, []message.URL{moving})                             // which is not its own
		if err := a.reg.Verify(w.ctx, other, moving); err == nil {
			t.Error("others may post from there")
		}
		if route, err := a.resolve(moving); err != nil || route.Remote != b.url {
			t.Errorf("another one has ended it: %+v, %v", route, err)
		}
		a.reg.Ended(w.ctx, b.url, []message.URL{moving.Join("part")})
		if route, err := a.resolve(moving); err == nil {
			t.Errorf("it leads to %+v", route)
		}
		if err := a.reg.Verify(w.ctx, b.url, moving); err != nil {
			t.Errorf("what has waited: %v", err)
		}
		a.reg.Announced(w.ctx, other, []message.URL{moving})
		if err := a.reg.Verify(w.ctx, other, moving); err != nil {
			t.Errorf("another's claim: %v", err)
		}
		if err := a.reg.Verify(w.ctx, b.url, moving); err == nil {
			t.Error("it is two runtimes'")
		}
		w.change(func() { w.down = false })
	})
}
