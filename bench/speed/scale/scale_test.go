package scale

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/bench/speed/figures"
)

// TestMain runs a crowd if a test has started this binary as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == CrowdArgument {
		if err := Crowd(context.Background(), os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A few of everything: each row exists, and demands that hold at any size are met.
func TestRows(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what processes use is known on Linux only")
	}
	if testing.Short() {
		t.Skip("builds and starts everything")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	dir, remove, err := rig.WorkDir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	bin, err := rig.Build(ctx, dir, Plugins())
	if err != nil {
		t.Fatal(err)
	}
	e := Env{Bin: bin, Dir: dir, Quick: true, Rest: 500 * time.Millisecond, Say: t.Logf, Sizes: Sizes{Peers: 20, Connections: 100, Observers: 50, Publications: 10, Pairs: 2}}
	want := map[string]int{"idle runtime": 6, "peers": 5, "node connections": 3, "fan-out": 4, "time to live": 4}
	var all sync.WaitGroup // in parallel, since the figures are not checked here
	defer all.Wait()
	for _, g := range Groups() {
		all.Go(func() {
			rows, err := g.Measure(ctx, e)
			if err != nil {
				t.Errorf("%s: %v", g.Name, err)
				return
			}
			if len(rows) != want[g.Name] {
				t.Errorf("%s: %d rows, want %d", g.Name, len(rows), want[g.Name])
			}
			for _, r := range rows {
				t.Logf("%s %s: %s %s %s", r.Row, r.Transport, figures.Short(r.Ours), r.Metric, r.Demand)
				if r.Metric == wrongMetric && r.Ours != 0 {
					t.Errorf("%s: %v publications were lost, doubled or out of order", r.Row, r.Ours)
				}
			}
		})
	}
}

// An observer notices each publication that is not the next.
func TestObserverNoticesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name    string
		numbers []uint64
		want    uint64
	}{
		{"all well", []uint64{0, 1, 2}, 0}, {"doubled", []uint64{0, 1, 1, 2}, 1}, {"the last one again", []uint64{0, 1, 0}, 1},
		{"lost", []uint64{0, 2}, 1}, {"out of order", []uint64{1, 0}, 1},
	} {
		g := &guest{}
		for _, n := range c.numbers {
			g.take(changeBody(n, 100))
		}
		if got := g.trouble.Load(); got != c.want {
			t.Errorf("%s: %d were noticed, want %d", c.name, got, c.want)
		}
	}
	for _, body := range []string{"", "{}", changeHead + changeTail, changeHead + `"text"` + changeTail} {
		if _, _, err := change([]byte(body)); err == nil {
			t.Errorf("%q was taken for a publication", body)
		}
	}
}

func TestOptionsOfACrowd(t *testing.T) {
	for _, text := range []string{"", "{", `{"dir":"d","plugins":"p","domain":"a.example"}`} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
