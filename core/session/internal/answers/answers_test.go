package answers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/sdk/message"
)

var relay = paths.Path{Door: "hyperty-runtime://a.example/alice/protostub/node", Stub: "hyperty-runtime://a.example/alice/protostub/node"}

// What is sent and what is computed go out in the order in which they were brought; where nothing comes of a computation
// nothing is sent.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		var sent []string
		a := New(Options{
			Begin: func(f func(context.Context)) { wg.Go(func() { f(t.Context()) }) },
			Send: func(_ context.Context, _ paths.Path, remote message.URL, frames ...[]byte) error {
				sent = append(sent, fmt.Sprintf("%s %s", remote, frames[0]))
				return nil
			},
		})
		a.Send(relay, "one", []byte("1"))
		a.Compute(relay, "two", func() []byte { return []byte("2") })
		a.Compute(relay, "two", func() []byte { return nil })
		a.Send(relay, "three", []byte("3"))
		wg.Wait()
		if want := []string{"one 1", "two 2", "three 3"}; !slices.Equal(sent, want) || a.Busy() {
			t.Errorf("%q was sent, want %q; busy: %v", sent, want, a.Busy())
		}
	})
}

// A path that fails loses what waits for it, and works again afterwards. No more waits than may.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		tries, gate := 0, make(chan struct{})
		a := New(Options{
			Begin: func(f func(context.Context)) { wg.Go(func() { f(t.Context()) }) },
			Send: func(context.Context, paths.Path, message.URL, ...[]byte) error {
				tries++
				<-gate
				return errors.New("gone")
			},
		})
		a.Send(relay, "one", []byte("1"))
		synctest.Wait()
		computed := 0
		for range 2 * MaxOf {
			a.Compute(relay, "one", func() []byte { computed++; return nil })
		}
		close(gate)
		wg.Wait()
		if tries != 1 || computed != 0 || a.Busy() {
			t.Errorf("%d tries, %d computed", tries, computed)
		}
		a.Send(relay, "one", []byte("1"))
		for range 2 * MaxOf {
			a.Compute(relay, "one", func() []byte { computed++; return nil })
		}
		if wg.Wait(); tries != 2 {
			t.Errorf("%d tries", tries)
		}
	})
}
