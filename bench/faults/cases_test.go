package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/internal/longtest"
)

// Every case, as briefly as it can be, with real processes: the figures that must be zero are zero. The bounds of time and
// memory are for machines that do nothing else, and are not checked here.
func TestCases(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	tryAll(t, amounts{hostile: 40, plugin: 20, switches: 3, rounds: 1, rate: 300})
}

// The same, with more rounds and messages where these find more.
func TestLongCases(t *testing.T) {
	longtest.Skip(t)
	tryAll(t, amounts{hostile: 150, plugin: 50, switches: 9, rounds: 3, rate: 1000})
}

// Registrations that come and go leave nothing behind.
func TestLongRegistrations(t *testing.T) {
	longtest.Skip(t)
	dir, remove, err := rig.WorkDir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	bin, err := rig.Build(t.Context(), dir, []string{rig.NodePlugin})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		if f.name == "registrations" {
			one := trial{fault: f, transport: relay, rounds: 5000}
			check(t, one, one.play(t.Context(), rig.House{Dir: filepath.Join(dir, "house"), Bin: bin}, t.Logf))
		}
	}
}

// amounts are the rounds of the cases in which more rounds find more, and the messages a second of those that have many.
type amounts struct{ hostile, plugin, switches, rounds, rate int }

func tryAll(t *testing.T, n amounts) {
	t.Helper()
	dir, remove, err := rig.WorkDir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	bin, err := rig.Build(t.Context(), dir, []string{rig.NodePlugin, "quic", "webrtc"})
	if err != nil {
		t.Fatal(err)
	}
	brief := map[string]struct {
		transport    string
		rounds, rate int
	}{
		"kill-plugin":  {"webrtc", 2, n.rate},
		"kill-node":    {relay, 1, 500},
		"switch":       {anyWay, n.switches, 500},
		"upgrade":      {"quic", 2, n.rate},
		"blackhole":    {"quic", 1, 200},
		"loss":         {"quic", 1, 200},
		"kill-runtime": {relay, 1, 500},
		"slow-reader":  {relay, n.rounds, slowRate},
		"hostile":      {relay, n.hostile, 300},
	}
	for _, a := range []string{"strangers", "products", "api"} { // -case hostile has them all
		brief["hostile/"+a] = struct {
			transport    string
			rounds, rate int
		}{relay, n.rounds, 300}
	}
	var planned []trial
	for _, f := range faults() {
		if f.name == "soak" || f.name == "registrations" {
			continue // they take minutes; .ci/run soak and TestLongRegistrations run them
		}
		if _, ok := brief[f.name]; !ok && strings.HasPrefix(f.name, "hostile/") {
			continue
		}
		short, ok := brief[f.name]
		if !ok {
			t.Errorf("%s is not tried here", f.name)
			continue
		}
		planned = append(planned, trial{fault: f, transport: short.transport, rounds: short.rounds, rate: short.rate})
		if f.name == "hostile" { // also over the plug-in
			planned = append(planned, trial{fault: f, transport: "quic", rounds: n.plugin, rate: 300})
		}
	}
	long := []string{"hostile", "loss", "blackhole", "slow-reader"} // those begin first
	slices.SortStableFunc(planned, func(a, b trial) int {
		return cmp.Compare(slices.Index(long, b.name), slices.Index(long, a.name))
	})
	// Most of the time they wait, so several run at once, more than there are processors.
	results := make([]*result, len(planned))
	var lanes sync.WaitGroup
	next := make(chan int)
	for range 8 {
		lanes.Go(func() {
			for i := range next {
				house := rig.House{Dir: filepath.Join(dir, strconv.Itoa(i)), Bin: bin}
				results[i] = planned[i].play(t.Context(), house, t.Logf)
			}
		})
	}
	for i := range planned {
		next <- i
	}
	close(next)
	lanes.Wait()
	for i, one := range planned {
		t.Run(one.name+" over "+one.transport, func(t *testing.T) { check(t, one, results[i]) })
	}
}

func check(t *testing.T, one trial, r *result) {
	switch {
	case r.skipped:
		t.Skip(r.Why)
	case len(r.wrong) > 0:
		t.Errorf("%q\n%+v", r.wrong, r)
	case len(r.slow) > 0:
		t.Logf("slow: %q", r.slow)
	}
	if r.Rounds < one.rounds || r.Delivered == 0 || r.Lost+r.Duplicated+r.OutOfOrder+r.Corrupt > 0 {
		t.Errorf("%+v", r)
	}
	if account := r.Delivered + r.InDoubt + r.Refused; account < r.Sent {
		t.Errorf("of %d messages only %d are accounted for", r.Sent, account)
	}
}
