package core_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/protofly/protofly/core"
)

// The process of a plug-in can be profiled, and so can the runtime's own.
func TestProfile(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	a.register("alice") // over the Message Node: its stub runs
	for _, plugin := range []string{core.DefaultNodeStub, ""} {
		for _, kind := range []string{"cpu", "allocs", "heap"} {
			data, err := a.Profile(t.Context(), plugin, kind, 1)
			if err != nil || !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
				t.Errorf("%s of %q: %d bytes that begin with %x, %v", kind, plugin, len(data), data[:min(len(data), 4)], err)
			}
		}
	}
	for _, c := range []struct {
		plugin, kind string
		seconds      int
		says         string
	}{
		{core.DefaultNodeStub, "cpu", 61, "want 1 to 60"},
		{core.DefaultNodeStub, "cpu", 0, "want 1 to 60"},
		{core.DefaultNodeStub, "time", 1, "want cpu, allocs or heap"},
		{built.transportIDs[0], "heap", 0, "does not run"},
		{"frobnicate", "heap", 0, "no plug-in"},
	} {
		if _, err := a.Profile(t.Context(), c.plugin, c.kind, c.seconds); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
