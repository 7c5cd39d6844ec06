package core_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// pluginFolder is a folder of installed plug-ins with the Message Node's stub and one P2P plug-in that is a shell script. sum
// is the checksum in its descriptor; "": the right one.
func pluginFolder(t testing.TB, name, script, sum string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the bad plug-ins are shell scripts")
	}
	build(t)
	dir := shortDir(t)
	good, err := catalogue.Open(built.plugins)
	if err != nil {
		t.Fatal(err)
	}
	d, err := good.Find(core.DefaultNodeStub)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	install := func(d catalogue.Descriptor, program []byte) {
		err := os.WriteFile(filepath.Join(dir, d.Executable), program, 0o700)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, d.Name+".json"), message.Encode(d), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	install(d, program)
	if sum == "" {
		is := sha256.Sum256([]byte(script))
		sum = hex.EncodeToString(is[:])
	}
	install(catalogue.Descriptor{
		Descriptor: sdk.Descriptor{Name: name, Version: "1", Kind: sdk.KindP2P}, Executable: name + "-script", SHA256: sum,
	}, []byte(script))
	return dir
}

// badPlugin is a plug-in that cannot be used, and the error about it.
type badPlugin struct {
	name, script, sum string
	reason            stubhost.Reason
	says              string
}

var hangs = badPlugin{"hangs", "#!/bin/sh\nexec sleep 60\n", "", stubhost.Hung, "did not answer"}

// keepsFromStarting checks that a runtime with the plug-in does not start. The runtime waits for the plug-in for wait; 0: for
// the default time.
func (p badPlugin) keepsFromStarting(t *testing.T, node *nodeProcess, wait time.Duration) {
	before := children(t)
	dir := shortDir(t)
	config := core.Config{
		Domain: node.domain, Nodes: map[string]string{node.domain: node.url}, DataDir: dir,
		PluginDir: pluginFolder(t, p.name, p.script, p.sum), P2P: core.P2P{Use: []string{p.name}},
		Socket: filepath.Join(dir, "api"),
	}
	core.SetPluginStart(&config, wait)
	began := time.Now()
	rt, err := core.Start(context.Background(), config)
	if err == nil {
		_ = rt.Close(t.Context())
		t.Fatal("the runtime has started")
	}
	var start *stubhost.StartError
	if !errors.As(err, &start) || start.Reason != p.reason || start.Plugin != p.name {
		t.Errorf("the error is %#v", start)
	}
	for _, part := range []string{p.name, p.says} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q says nothing of %q", err, part)
		}
	}
	if took := time.Since(began); took > waitTime {
		t.Errorf("it took %v", took)
	}
	nothingLeft(t, before, dir)
}

// A plug-in never answers: the runtime waits for the default time.
func TestLongPluginThatHangs(t *testing.T) {
	longtest.Skip(t)
	hangs.keepsFromStarting(t, startNode(t, "example.com"), 0)
}

// A plug-in that cannot be used keeps the runtime from starting, with an error that names it and says what is wrong; the
// attempt leaves nothing behind.
func TestBadPlugins(t *testing.T) {
	node := startNode(t, "example.com")
	for _, p := range []badPlugin{
		{"garbage", "#!/bin/sh\necho hello, I am a program\nexec sleep 60\n", "", stubhost.Garbage, "hello, I am a program"},
		{"quitter", "#!/bin/sh\necho I cannot find my files >&2\nexit 3\n", "", stubhost.Exited, "I cannot find my files"},
		{"future", "#!/bin/sh\necho '1|7|unix|/nowhere|grpc|'\nexec sleep 60\n", "", stubhost.Version, "version 7"},
		{"changed", "#!/bin/sh\nexit 0\n", strings.Repeat("00", 32), stubhost.Checksum, "checksum"},
	} {
		t.Run(p.name, func(t *testing.T) { p.keepsFromStarting(t, node, 0) })
	}
	t.Run("hangs", func(t *testing.T) { hangs.keepsFromStarting(t, node, time.Second) })
	t.Run("not installed", func(t *testing.T) {
		_, err := core.Start(context.Background(), core.Config{
			Domain: node.domain, DataDir: shortDir(t), PluginDir: built.plugins, P2P: core.P2P{Use: []string{built.transportIDs[0] + "x"}},
		})
		var missing *catalogue.NotFoundError
		if !errors.As(err, &missing) || len(missing.Nearest) == 0 || missing.Nearest[0] != built.transportIDs[0] {
			t.Errorf("the error is %v", err)
		}
	})
}

// A plug-in that always ends soon after its start is started again and again; everything else goes on: local messages, the
// relay, and the messages that were on the direct path.
func TestPluginThatKeepsCrashing(t *testing.T) {
	t.Parallel()
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
	shaky := "#!/bin/sh\n(sleep 1; kill -9 $$) </dev/null >/dev/null 2>&1 &\nexec " + d.Path + "\n"
	node := startNode(t, "example.com")
	folder := pluginFolder(t, name, shaky, "")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{name},
		change: func(c *core.Config) {
			c.PluginDir, c.PluginPaths = folder, map[string][]string{name: {d.Path}} // what the script runs
		}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{name}})
	alice, bob, carol := a.register("alice"), b.register("bob"), a.register("carol")
	flow := startTraffic(t, alice, bob, 5*time.Millisecond)
	carol.Handle(answer)
	local := a.register("local")
	a.until("the plug-in has crashed three times", waitTime, func() bool {
		if _, err := local.Request(t.Context(), carol.URL(), message.Read, nil); err != nil {
			t.Errorf("a local request: %v", err)
		}
		for _, p := range a.status().Plugins {
			if p.Name == name {
				return p.Restarts >= 3 && p.LastError != ""
			}
		}
		return false
	})
	flow.flows(20)
	flow.finish()
	for _, p := range a.status().Plugins {
		if p.Name != name && p.Restarts != 0 {
			t.Errorf("%s was started again too: %+v", p.Name, p)
		}
	}
}
