package registry

import (
	"context"
	"fmt"
	"testing"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// nowhere is a deployer whose stubs always run.
type nowhere struct{}

func (nowhere) Deploy(context.Context, Deployment) error                  { return nil }
func (nowhere) Undeploy(context.Context, message.URL) error               { return nil }
func (nowhere) Forward(context.Context, bus.Route, message.Message) error { return nil }

// crowd is a Registry that knows n addresses at n/100 runtimes, each with a live connection or none.
func crowd(tb testing.TB, n int, live bool) (*Registry, []message.URL) {
	b := bus.New(bus.Options{Runtime: "hyperty-runtime://example.com/a"})
	r := New(Options{Runtime: "hyperty-runtime://example.com/a", Domain: "example.com", Bus: b, Deployer: nowhere{}, Policy: Never})
	b.Connect(r, nowhere{}, r)
	r.Start()
	tb.Cleanup(func() { r.Close(context.Background()); b.Close() })
	r.AddStub(Stub{URL: "hyperty-runtime://example.com/a/protostub/1", Role: sdk.RoleNode, Domain: "example.com"})
	urls := make([]message.URL, n)
	r.ask(context.Background(), func() {
		for i := range n {
			rem, _ := r.meet(message.URL(fmt.Sprintf("hyperty-runtime://example.com/r%d", i/100)))
			if live && rem.conn == nil {
				r.numbers++
				stub := message.URL(fmt.Sprintf("hyperty-runtime://example.com/a/p2prequester/%d", i))
				rem.conn = &connection{number: r.numbers, remote: rem, plugin: "alpha", role: sdk.RoleRequester, stub: stub, door: stub, state: message.Live}
				r.refreshWay(rem)
			}
			urls[i] = message.URL(fmt.Sprintf("hyperty://example.com/some-hyperty-%d", i))
			if !r.learn(rem, urls[i], listed) {
				tb.Fatal("not learned")
			}
		}
	})
	return r, urls
}

// BenchmarkResolve resolves messages to 1,024 of the n known addresses; "any" to all of them in no order, where a
// million addresses do not fit the processor's caches, "map" is what one look-up in a Go map alone costs there.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{10, 10_000, 1_000_000} {
		for _, way := range []string{"direct", "relay", "any", "map"} {
			b.Run(fmt.Sprintf("%s/%d", way, n), func(b *testing.B) { benchmarkResolve(b, n, way) })
		}
	}
}

func benchmarkResolve(b *testing.B, n int, way string) {
	r, urls := crowd(b, n, way != "relay")
	among := uint64(n)
	if way == "direct" || way == "relay" {
		among = min(among, 1024)
	}
	plain := map[message.URL]address{}
	if way == "map" {
		for _, u := range urls {
			plain[u] = address{until: 1}
		}
	}
	m := message.Message{Type: message.Update, From: "hyperty://example.com/me"}
	ctx := context.Background()
	b.ReportAllocs()
	for x := uint64(1); b.Loop(); {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		m.To = urls[x%among*(uint64(n)/among)]
		if way == "map" {
			if plain[m.To].until == 0 {
				b.Fatal("lost")
			}
		} else if route, err := r.Resolve(ctx, m); err != nil || route.Direct != (way != "relay") {
			b.Fatal(route, err)
		}
	}
}

func BenchmarkLearn(b *testing.B) {
	r, urls := crowd(b, 100_000, true)
	rem, _ := r.remotes.get("hyperty-runtime://example.com/r0")
	b.ReportAllocs()
	r.ask(context.Background(), func() {
		for i := 0; b.Loop(); i++ {
			r.learn(rem, urls[i%100], listed)
		}
	})
}

func TestTheDirectWayAllocatesNothing(t *testing.T) {
	r, urls := crowd(t, 1000, true)
	m := message.Message{Type: message.Update, From: "hyperty://example.com/me", To: urls[500]}
	if n := testing.AllocsPerRun(1000, func() { r.Resolve(context.Background(), m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
