package lanes

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/message"
)

// Each lane keeps its order, one that is stuck holds up no other, and what waits is bounded.
func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		l := Lanes{Begin: func(f func(context.Context)) { wg.Go(func() { f(ctx) }) }}
		gate := make(chan struct{})
		var got [2][]int
		for n := range 10 {
			for i, key := range []message.URL{"stuck", "free"} {
				if !l.Do(key, 1, func(context.Context) {
					if i == 0 {
						<-gate
					}
					got[i] = append(got[i], n)
				}) {
					t.Fatal("no room")
				}
			}
		}
		synctest.Wait()
		want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		if len(got[0]) != 0 || !slices.Equal(got[1], want) {
			t.Errorf("with a lane stuck: %v", got)
		}
		jobs := 0
		for l.Do("stuck", 1, func(context.Context) {}) {
			jobs++
		}
		if jobs > maxLane {
			t.Errorf("%d jobs wait in one lane", jobs)
		}
		if l.Do("large", maxLanesBytes, func(context.Context) {}) {
			t.Error("a job without bounds")
		}
		if !l.Do("free", 1, func(context.Context) { got[1] = append(got[1], 10) }) {
			t.Error("one lane's jobs take another's room")
		}
		close(gate)
		synctest.Wait()
		if !slices.Equal(got[0], want) || len(got[1]) != 11 || len(l.by) != 0 || l.bytes != 0 {
			t.Errorf("%v; left: %d lanes, %d bytes", got, len(l.by), l.bytes)
		}
		l.Do("last", 1, func(ctx context.Context) { <-ctx.Done() })
		l.Do("last", 1, func(context.Context) { t.Error("it ran after the end") })
		synctest.Wait()
		cancel()
		wg.Wait()
		if l.bytes != 0 {
			t.Errorf("%d bytes left", l.bytes)
		}
	})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
