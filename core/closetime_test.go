package core_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/sdk/message"
)

// Close returns in time, and leaves nothing, where a plug-in does not end when it is asked to, is served by a process that
// has left its group, and has started others that hold its file descriptors.
func TestCloseKeepsItsTime(t *testing.T) {
	build(t)
	good, err := catalogue.Open(built.plugins)
	if err != nil {
		t.Fatal(err)
	}
	name := built.transportIDs[0]
	d, err := good.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	before := children(t)
	node := startNode(t, "example.com")
	folder := pluginFolder(t, name, "#!/bin/sh\ntrap '' TERM HUP INT\nfor n in 1 2 3; do setsid sleep 300 & done\nsetsid "+d.Path+" &\nwhile :; do sleep 1; done\n", "")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{name}, change: func(c *core.Config) {
		c.PluginDir, c.PluginPaths = folder, map[string][]string{name: {d.Path}} // what the script runs
	}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{name}})
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(answer)
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Fatal(err)
	}
	a.live(b)
	b.close()
	node.stop()
	const given, more = 2 * time.Second, 10 * time.Second // it takes a moment more; the machine may be busy
	ctx, cancel := context.WithTimeout(t.Context(), given)
	defer cancel()
	began := time.Now()
	err = a.Close(ctx)
	took := time.Since(began)
	t.Logf("after %s of %s: %v", took.Round(time.Millisecond), given, err)
	if took > given+more {
		t.Errorf("Close took %s, of which it had %s", took, given)
	}
	nothingLeft(t, before, a.dir)
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments { // processes that have left their parents
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "TMPDIR="+a.dir) {
			t.Errorf("process %s is left", strings.Split(path, "/")[2])
		}
	}
}
