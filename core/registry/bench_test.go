package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// nowhere is a deployer whose stubs run at once.
type nowhere struct{}

func (nowhere) Deploy(context.Context, Deployment) error    { return nil }
func (nowhere) Undeploy(context.Context, message.URL) error { return nil }
func (nowhere) Forward(context.Context, bus.Route, message.Message, minibus.Receipt) error {
	return nil
}
func (nowhere) TryForward(bus.Route, message.Message, minibus.Receipt) error { return nil }

// perRuntime is how many addresses of the crowd live at one runtime.
const perRuntime = 100

func someone(i int) message.URL {
	return message.URL(fmt.Sprintf("hyperty://example.com/some-hyperty-%d", i))
}

// crowd is a Registry that knows n addresses, perRuntime at each runtime, each with a live connection or none.
func crowd(tb testing.TB, n int, live bool) *Registry { return crowdOf(tb, n, live, 1<<21) }

// crowdOf is crowd with room for most addresses.
func crowdOf(tb testing.TB, n int, live bool, most int) *Registry {
	b := bus.New(bus.Options{Runtime: "hyperty-runtime://example.com/a"})
	r := New(Options{Runtime: "hyperty-runtime://example.com/a", Domain: "example.com", Bus: b, Deployer: nowhere{}, Policy: Never,
		Cache: CacheOptions{MaxAddresses: most}})
	b.Connect(bus.Outside{Resolver: r, Forwarder: nowhere{}, Authority: r})
	r.Start()
	tb.Cleanup(func() { r.Close(context.Background()); b.Close() })
	r.AddStub(Stub{URL: "hyperty-runtime://example.com/a/protostub/1", Role: sdk.RoleNode, Domain: "example.com"})
	r.ask(context.Background(), func() {
		for i := range n {
			rt, _ := r.directory.Meet(message.URL(fmt.Sprintf("hyperty-runtime://example.com/r%d", i/perRuntime)))
			if live && !rt.Way().Live() {
				rt.SetWay(liveWay(rt, uint64(i)+1))
			}
			if !r.learn(rt, someone(i), directory.Listed) {
				tb.Fatal("not learned")
			}
		}
	})
	return r
}

// liveWay is the way over the live connection with that number.
func liveWay(rt *directory.Runtime, number uint64) *directory.Way {
	door := message.URL(fmt.Sprintf("hyperty-runtime://example.com/a/p2prequester/%d", number))
	return &directory.Way{Number: number, State: message.Live, Direct: bus.Route{Stub: door, Door: door, Remote: rt.URL(), Direct: true,
		Why: "a live P2P connection over alpha with " + string(rt.URL())}}
}

// workingSet is how many addresses one application talks with.
const workingSet = 64

// calls are addresses in the order in which messages go to them. Each text is a copy of its own, as that of a message that
// has just been read: it is in the processor's cache, unlike the Registry's memory. "set" is a few of the n known addresses
// again and again; "uniform" is all n in no order, each as far from the caches as a table of that size is.
func calls(n int, pattern string) []message.URL {
	random := rand.New(rand.NewPCG(1, 2))
	order := random.Perm(n)
	if pattern == "set" {
		order = order[:min(n, workingSet)]
	}
	var text strings.Builder
	ends := make([]int, len(order))
	for i, one := range order {
		text.WriteString(string(someone(one)))
		ends[i] = text.Len()
	}
	urls := make([]message.URL, len(order))
	for i, end := range ends {
		begin := 0
		if i > 0 {
			begin = ends[i-1]
		}
		urls[i] = message.URL(text.String()[begin:end])
	}
	if pattern == "uniform" {
		return urls
	}
	list := make([]message.URL, 4096)
	for i := range list {
		list[i] = urls[random.IntN(len(urls))]
	}
	return list
}

var (
	sizes    = []int{10, 10_000, 1_000_000}
	patterns = []string{"set", "uniform"}
)

// BenchmarkResolve resolves messages to addresses of which n are known: see calls. BenchmarkBareMap shows how little of that
// could be saved.
func BenchmarkResolve(b *testing.B) {
	for _, way := range []string{"direct", "relay"} {
		for _, n := range sizes {
			for _, pattern := range patterns {
				b.Run(fmt.Sprintf("%s/%d/%s", way, n, pattern), func(b *testing.B) {
					r, to := crowd(b, n, way == "direct"), calls(n, pattern)
					m := message.Message{Type: message.Update, From: "hyperty://example.com/me"}
					ctx := context.Background()
					runtime.GC()
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if i == len(to) {
							i = 0
						}
						m.To = to[i]
						if route, err := r.Resolve(ctx, m); err != nil || route.Direct != (way == "direct") {
							b.Fatal(route, err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkBareMap is the lower bound for BenchmarkResolve: one look-up in a Go map of the same addresses.
func BenchmarkBareMap(b *testing.B) {
	for _, n := range sizes {
		for _, pattern := range patterns {
			b.Run(fmt.Sprintf("%d/%s", n, pattern), func(b *testing.B) {
				bare, to := make(map[message.URL]uint32), calls(n, pattern)
				for i := range n {
					bare[someone(i)] = uint32(i) + 1
				}
				runtime.GC()
				for i := 0; b.Loop(); i++ {
					if i == len(to) {
						i = 0
					}
					if bare[to[i]] == 0 {
						b.Fatal("lost")
					}
				}
			})
		}
	}
}

// BenchmarkLearn enters an address where n are known: "new" one that is not, "again" one that is, "full" a new one that
// replaces another. B/url is the memory of the Registry for each known address, its text included.
func BenchmarkLearn(b *testing.B) {
	for _, n := range sizes {
		for _, what := range []string{"new", "again", "full"} {
			b.Run(fmt.Sprintf("%s/%d", what, n), func(b *testing.B) {
				before := heapBytes()
				most := 1 << 21
				if what == "full" {
					most = n
				}
				r := crowdOf(b, n, true, most)
				each := float64(heapBytes()-before) / float64(n)
				rt, _ := r.directory.Runtime("hyperty-runtime://example.com/r0")
				first := n
				if what == "again" {
					first = 0
				}
				urls := make([]message.URL, 1<<16)
				for i := range urls {
					urls[i] = someone(first + i)
				}
				if what == "again" {
					urls = urls[:min(n, perRuntime)]
				}
				runtime.GC()
				b.ReportAllocs()
				learned := true
				r.ask(context.Background(), func() {
					for i := 0; b.Loop(); i++ {
						if i == len(urls) {
							i = 0
							if what == "new" {
								b.StopTimer()
								for _, u := range urls {
									r.directory.Forget(u)
								}
								b.StartTimer()
							}
						}
						learned = r.learn(rt, urls[i], directory.Listed) && learned
					}
				})
				if !learned {
					b.Fatal("not learned")
				}
				b.ReportMetric(each, "B/url")
			})
		}
	}
}

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestTheDirectWayAllocatesNothing(t *testing.T) {
	r := crowd(t, 1000, true)
	m := message.Message{Type: message.Update, From: "hyperty://example.com/me", To: someone(500)}
	if n := testing.AllocsPerRun(1000, func() { r.Resolve(context.Background(), m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
