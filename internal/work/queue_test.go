package work

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each key's work keeps its order, a key that is stuck holds up no other, and waiting work is bounded.
func TestJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		l := Jobs[string]{Begin: func(f func(context.Context)) { wg.Go(func() { f(ctx) }) }}
		gate := make(chan struct{})
		var got [2][]int
		for n := range 10 {
			for i, key := range []string{"stuck", "free"} {
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
			t.Errorf("with a key stuck: %v", got)
		}
		usual := Limits{}.usual()
		jobs := 0
		for l.Do("stuck", 1, func(context.Context) {}) {
			jobs++
		}
		if jobs > usual.Items {
			t.Errorf("%d jobs wait for one key", jobs)
		}
		if l.Do("large", usual.AllBytes, func(context.Context) {}) {
			t.Error("a job without bounds")
		}
		if !l.Do("free", 1, func(context.Context) { got[1] = append(got[1], 10) }) {
			t.Error("one key's jobs take another's room")
		}
		close(gate)
		synctest.Wait()
		if lanes := &l.queue.lanes; !slices.Equal(got[0], want) || len(got[1]) != 11 || lanes.Len() != 0 || lanes.bytes != 0 {
			t.Errorf("%v; left: %d lanes, %d bytes", got, lanes.Len(), lanes.bytes)
		}
		l.Do("last", 1, func(ctx context.Context) { <-ctx.Done() })
		l.Do("last", 1, func(context.Context) { t.Error("it ran after the end") })
		synctest.Wait()
		cancel()
		wg.Wait()
		if l.queue.lanes.bytes != 0 || l.queue.lanes.Len() != 0 {
			t.Errorf("%d bytes left", l.queue.lanes.bytes)
		}
	})
}

// Each limit refuses work, and work that is done makes room again.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		size   int
		keys   int // keys to which work is added in turn
		want   int // items that are taken
	}{
		"keys":      {Limits{Keys: 3}, 1, 5, 3},
		"items":     {Limits{Items: 4}, 1, 1, 5}, // 4, and the one that is being worked on
		"bytes":     {Limits{Bytes: 100, Overhead: 5}, 20, 1, 4},
		"all bytes": {Limits{AllBytes: 100, Overhead: 5}, 20, 4, 4},
	} {
		var lanes Lanes[int, int]
		lanes.Limits = c.limits
		for range 2 {
			var workers []*KeyLane[int, int]
			taken, tries := 0, 0
			for ; tries < 10; tries++ {
				begin, ok := lanes.Add(tries%c.keys, c.size, tries)
				if begin != nil {
					workers = append(workers, begin)
					_, _ = lanes.Next(begin)
				}
				if name == "keys" && tries >= c.keys { // these wait behind the first ones
					break
				}
				if ok {
					taken++
				}
			}
			if taken != c.want {
				t.Errorf("%s: %d items were taken, want %d", name, taken, c.want)
			}
			for _, w := range workers {
				lanes.Drop(w)
			}
			if lanes.Len() != 0 || lanes.bytes != 0 {
				t.Errorf("%s: %d keys and %d bytes are left", name, lanes.Len(), lanes.bytes)
			}
		}
	}
}

// Work of many keys from many goroutines: all of it is done, each key's in order, and never by two workers of one key.
func TestQueueKeepsOrder(t *testing.T) {
	const keys, each = 50, 500
	type item struct{ key, n int }
	var wg sync.WaitGroup
	var next, inside [keys]int // only the worker of a key writes its element: the race detector checks that
	q := Queue[int, item]{
		Begin:  func(f func(context.Context)) { wg.Go(func() { f(t.Context()) }) },
		Limits: Limits{Items: each},
		Run: func(_ context.Context, v item) {
			inside[v.key]++
			if v.n != next[v.key] || inside[v.key] != 1 {
				t.Errorf("key %d: item %d, want %d; %d workers", v.key, v.n, next[v.key], inside[v.key])
			}
			next[v.key]++
			inside[v.key]--
		},
	}
	var senders sync.WaitGroup
	for key := range keys {
		senders.Go(func() {
			for n := range each {
				if !q.Do(key, 1, item{key, n}) {
					t.Error("no room")
				}
			}
		})
	}
	senders.Wait()
	wg.Wait()
	for key, n := range next {
		if n != each {
			t.Errorf("key %d: %d items", key, n)
		}
	}
}

// Items that pass through a busy queue allocate nothing.
func TestNoAllocations(t *testing.T) {
	var lanes Lanes[string, numbered]
	for _, key := range []string{"a", "b"} {
		lanes.Add(key, 1, numbered{})
	}
	a := lanes.by["a"]
	if n := testing.AllocsPerRun(1000, func() {
		lanes.Add("a", 1, numbered{})
		_, _ = lanes.Next(a)
	}); n > 0 {
		t.Errorf("%v allocations for an item", n)
	}
}

func BenchmarkQueue(b *testing.B) {
	var wg sync.WaitGroup
	q := Queue[int, int]{
		Begin:  func(f func(context.Context)) { wg.Go(func() { f(context.Background()) }) },
		Run:    func(context.Context, int) {},
		Limits: Limits{Items: 1 << 30, Bytes: 1 << 40, AllBytes: 1 << 40},
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		q.Do(n%4, 1, n)
	}
	wg.Wait()
}

func BenchmarkLane(b *testing.B) {
	for _, sources := range []uint32{1, 100} {
		var memory Memory[numbered]
		l := Lane[numbered]{Memory: &memory}
		b.Run(map[uint32]string{1: "one source", 100: "sources"}[sources], func(b *testing.B) {
			b.ReportAllocs()
			for n := uint32(0); b.Loop(); n++ {
				l.Add(n%sources, &numbered{})
				if n%128 == 127 {
					for batch := l.Take(); batch != nil; {
						if batch = memory.Done(batch); batch == nil {
							batch = l.Take()
						}
					}
				}
			}
		})
	}
}

// A worker gets all items for its key while it works, and keeps its own state; the figures of a key include the item that is
// being worked on.
func TestWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		gate := make(chan struct{})
		sums := make(chan int, 2)
		q := Queue[string, int]{
			Begin:  func(f func(context.Context)) { wg.Go(func() { f(t.Context()) }) },
			Limits: Limits{Overhead: 10},
			Worker: func(_ context.Context, key string, next func() (int, bool)) {
				sum := 0
				for v, ok := next(); ok; v, ok = next() {
					<-gate
					sum += v
				}
				sums <- sum
			},
		}
		if q.Busy() || q.Has("one") {
			t.Error("there is work before any was brought")
		}
		for n := range 3 {
			q.Do("one", 5, n+1)
		}
		q.Do("other", 1, 10)
		synctest.Wait()
		seen := map[string][2]int{}
		q.Each(func(key string, items, bytes int) { seen[key] = [2]int{items, bytes} })
		if len(seen) != 2 || seen["one"] != [2]int{3, 45} || seen["other"] != [2]int{1, 11} || !q.Has("one") || q.Has("none") || !q.Busy() {
			t.Errorf("seen: %v", seen)
		}
		close(gate)
		wg.Wait()
		if a, b := <-sums, <-sums; a+b != 16 || a != 6 && a != 10 {
			t.Errorf("the workers have %d and %d", a, b)
		}
		if q.Busy() || q.Has("one") {
			t.Error("there is work when all is done")
		}
	})
}

// If no goroutine may begin any more, Begin ends the worker at once and nothing is left.
func TestBeginAtTheEnd(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	q := Queue[int, int]{Begin: func(f func(context.Context)) { f(ended) }, Run: func(context.Context, int) { t.Error("it ran after the end") }}
	for n := range 3 {
		q.Do(1, 1, n)
	}
	if q.Busy() || q.lanes.bytes != 0 {
		t.Errorf("%d bytes are left", q.lanes.bytes)
	}
}
