//go:build unix

package core_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// gaps measures how long nothing came from another runtime's hyperty, through what the core delivers.
type gaps struct {
	mu     sync.Mutex
	last   time.Time
	longer []time.Duration // of at least a millisecond
}

func watchGaps(r *running, from message.URL) (*gaps, func()) {
	g := &gaps{}
	stop := r.Watch(func(e trace.Event) {
		if e.Kind != trace.Deliver || e.From != from {
			return
		}
		now := time.Now()
		g.mu.Lock()
		defer g.mu.Unlock()
		if d := now.Sub(g.last); !g.last.IsZero() && d >= time.Millisecond {
			g.longer = append(g.longer, d)
		}
		g.last = now
	})
	return g, stop
}

// longest is the longest gap since the last call.
func (g *gaps) longest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.longer) == 0 {
		return 0
	}
	d := slices.Max(g.longer)
	g.longer = nil
	return d
}

// A plug-in is replaced by a new process ten times while messages flow both ways, at the side that requested the
// connection and at the one that handles it: each message comes once and in order, nothing waits for long, and no
// process is left.
func TestReloadWhileMessagesFlow(t *testing.T) {
	build(t)
	for _, transport := range built.transportIDs {
		t.Run(transport, func(t *testing.T) { reloadUnderTraffic(t, transport, transport, 10) })
	}
	t.Run("the stub of the Message Node", func(t *testing.T) { reloadUnderTraffic(t, "", core.DefaultNodeStub, 10) })
}

func reloadUnderTraffic(t *testing.T, transport, plugin string, rounds int) {
	node := startNode(t, "example.com")
	var use []string
	if transport != "" {
		use = []string{transport}
	}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: use})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use})
	alice, bob := a.register("alice"), b.register("bob")
	f := startTraffic(t, alice, bob, time.Millisecond)
	f.flows(10)
	sides := [2]*running{a, b}
	if transport != "" {
		a.until("direct connections", waitTime, func() bool { return a.isLive(b) && b.isLive(a) })
		sides[0], sides[1] = mutual(t, a, b)
	}
	ga, stopA := watchGaps(a, bob.URL())
	defer stopA()
	gb, stopB := watchGaps(b, alice.URL())
	defer stopB()
	var pauses []time.Duration
	var busy time.Duration // the longest pause while nothing was reloaded: the machine does something else
	var pids []int
	for round := range rounds {
		r := sides[round%2]
		ga.longest()
		gb.longest()
		f.flows(500)
		busy = max(busy, ga.longest(), gb.longest())
		before := r.pid(plugin)
		relayed := a.relayed(b) + b.relayed(a)
		pids = append(pids, before)
		done, err := r.Reload(t.Context(), plugin, false)
		if err != nil {
			t.Fatalf("reload %d: %v", round, err)
		}
		f.flows(200)
		pauses = append(pauses, max(ga.longest(), gb.longest()))
		if !done.Running || done.OldPID != before || done.NewPID != r.pid(plugin) || done.NewPID == before || done.Cut != 0 {
			t.Errorf("round %d: %+v; process %d before, %d now", round, done, before, r.pid(plugin))
		}
		if transport != "" {
			mutual(t, a, b)
			if n := a.relayed(b) + b.relayed(a) - relayed; n > 0 {
				t.Errorf("round %d: %d messages left the direct path", round, n)
			}
		}
		t.Logf("round %d: handed over in %.0f ms, drained in %.0f ms, longest pause %v", round, done.HandOver*1000, done.Drain*1000, pauses[round])
	}
	f.finish()
	slices.Sort(pauses)
	t.Logf("%d and %d messages; the longest pauses of %d reloads: median %v, max %v; between reloads: max %v", f.ways[0].sent, f.ways[1].sent, rounds, pauses[len(pauses)/2], pauses[len(pauses)-1], busy)
	if longest := pauses[len(pauses)-1]; longest > 500*time.Millisecond+2*busy {
		t.Errorf("messages waited for %v, want at most 500 ms, and twice the %v for which they wait without a reload", longest, busy)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}

// relayed is how many messages for the other left over the Message Node.
func (r *running) relayed(other *running) int {
	return r.count(func(e trace.Event) bool {
		return e.Kind == trace.Forward && e.Peer == other.URL() && strings.Contains(string(e.Via), "/protostub/")
	})
}

// A plug-in that is upgraded in the catalogue, as the command line does it: first with a program that is not the one
// of its descriptor, then with one that does not work, then with a good one.
func TestReloadOfAnUpgrade(t *testing.T) {
	build(t)
	node := startNode(t, "example.com")
	name := built.transportIDs[0]
	plugins := shortDir(t)
	if err := os.CopyFS(plugins, os.DirFS(built.plugins)); err != nil {
		t.Fatal(err)
	}
	own := func(c *core.Config) { c.PluginDir = plugins }
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{name}, change: own})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{name}})
	alice, bob := a.register("alice"), b.register("bob")
	f := startTraffic(t, alice, bob, time.Millisecond)
	f.flows(10)
	a.until("direct connections", waitTime, func() bool { return a.isLive(b) && b.isLive(a) })
	before, door := a.pid(name), a.connections(b)[0].Door
	descriptor := filepath.Join(plugins, name+".json")
	good, err := os.ReadFile(descriptor)
	if err != nil {
		t.Fatal(err)
	}
	var d catalogue.Descriptor
	if err := json.Unmarshal(good, &d); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(plugins, d.Executable)
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	put := func(executable string, text []byte, sum string) {
		t.Helper()
		d.Executable, d.SHA256 = executable, sum
		entry, err := json.Marshal(d)
		err = errors.Join(err, os.WriteFile(filepath.Join(plugins, executable), text, 0o755), os.WriteFile(descriptor, entry, 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	sum := func(text []byte) string {
		s := sha256.Sum256(text)
		return hex.EncodeToString(s[:])
	}
	upgraded := append(slices.Clone(binary), "what follows the program is nobody's"...)
	broken := []byte("#!/bin/sh\nexit 9\n")
	for what, says := range map[string]string{"evil": "not the file that was installed", "broken": "exit status 9"} {
		if what == "broken" {
			put(what, broken, sum(broken))
		} else {
			put(what, broken, sum(upgraded))
		}
		_, err := a.Reload(t.Context(), name, false)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "goes on") {
			t.Errorf("%s: %v", what, err)
		}
		f.flows(100)
		if c := a.connections(b); a.pid(name) != before || c[0].Door != door || !a.isLive(b) {
			t.Errorf("%s: process %d after %d, connection %+v", what, a.pid(name), before, c)
		}
	}
	put("upgraded", upgraded, sum(upgraded))
	if _, err := a.Reload(t.Context(), name, false); err != nil {
		t.Fatal(err)
	}
	f.finish()
	mutual(t, a, b)
	now := a.pid(name)
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", now))
	if now == before || err == nil && filepath.Base(exe) != sum(upgraded) {
		t.Errorf("process %d after %d runs %s", now, before, exe)
	}
	if _, err := a.Reload(t.Context(), "frobnicate", false); err == nil || !strings.Contains(err.Error(), "no plug-in") {
		t.Errorf("a plug-in that is not installed: %v", err)
	}
}

// While the Message Node is away the connection itself carries what sets up its successor.
func TestReloadWithoutTheMessageNode(t *testing.T) {
	node := startNode(t, "example.com")
	name := built.transportIDs[0]
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{name}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{name}})
	alice, bob := a.register("alice"), b.register("bob")
	f := startTraffic(t, alice, bob, time.Millisecond)
	f.flows(10)
	a.until("direct connections", waitTime, func() bool { return a.isLive(b) && b.isLive(a) })
	node.kill()
	for _, r := range []*running{a, b, a, b} {
		before := r.pid(name)
		done, err := r.Reload(t.Context(), name, false)
		if err != nil || done.Cut != 0 || r.pid(name) == before {
			t.Fatalf("%+v, %v", done, err)
		}
		mutual(t, a, b)
		f.flows(100)
	}
	f.finish()
	node.start()
}
