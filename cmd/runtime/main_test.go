package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/cmd/runtime/config"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// shell runs commands as a user would.
type shell struct {
	t     *testing.T
	home  string
	env   []string
	in    string
	start starter
}

func newShell(t *testing.T) *shell {
	home := t.TempDir()
	t.Setenv("HOME", home) // so that the tester's own configuration is not used
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv(hyperty.SocketVariable, "")
	return &shell{t: t, home: home, start: func(context.Context, *config.Loaded, hclog.Logger, trace.Func) (engine, error) {
		return nil, errors.New("nothing to start")
	}}
}

func (s *shell) run(args ...string) (code int, out, errs string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var o, e buffer
	code = s.running(ctx, &o, &e, args...)
	return code, o.String(), e.String()
}

func (s *shell) running(ctx context.Context, o, e *buffer, args ...string) int {
	c := &cli{in: strings.NewReader(s.in), out: o, err: e, environ: s.env, start: s.start}
	return c.execute(ctx, args)
}

func (s *shell) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.home, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o700)); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// plugin puts an installed plug-in into the folder "installed".
func (s *shell) plugin(name, kind string) {
	program := "#!/bin/sh\necho " + name + "\n"
	s.write("installed/"+name+".bin", program)
	sum := sha256.Sum256([]byte(program))
	text, err := json.Marshal(map[string]string{"name": name, "version": "1.0", "kind": kind, "executable": name + ".bin", "sha256": hex.EncodeToString(sum[:])})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("installed/"+name+".json", string(text))
}

func TestUsage(t *testing.T) {
	s := newShell(t)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 0, "Usage:"},
		{"version", 0, "protofly "},
		{"completion bash", 0, "__complete"},
		{"run --no-such", 2, "unknown flag: --no-such"},
		{"--version", 0, "protofly "},
		{"frobnicate", 2, `unknown command "frobnicate"`},
		{"statsu", 2, "did you mean status?"},
		{"plugins lst", 2, "did you mean list?"},
		{"status now", 2, "unknown command"},
		{"path", 2, "accepts 1 arg(s), received 0"},
		{"plugins reload", 2, "accepts 1 arg(s), received 0"},
		{"plugins reload quick", 1, "protofly run"},
		{"profile quick --seconds 61", 2, "want 1 to 60"},
		{"profile quick --kind time", 2, `"time": want cpu, allocs or heap`},
		{"profile quick", 1, "protofly run"},
		{"path bob", 2, "no scheme"},
		{"send hyperty://example.com/bob x --type response", 2, "--type response"},
		{"send hyperty://example.com/bob x --type nonsense", 2, `"nonsense": want one of create, read`},
		{"send hyperty://example.com/bob x --from a/b", 2, "'/'"},
		{"run", 2, "domain: it is required"},
		{"run --domain example.com --log-level loud", 2, `log.level: want trace, debug, info, warn, error, not "loud"`},
		{"run --config /nowhere.yaml", 2, "/nowhere.yaml"},
		{"find now", 2, "unknown command"},
		{"find", 1, "protofly run"},
		{"watch", 2, "accepts between 1 and 256 arg(s), received 0"},
		{"watch bob", 2, "no scheme"},
		{"status", 1, "protofly run"},
		{"status --socket /nowhere/x.sock", 1, "/nowhere/x.sock"},
	} {
		code, out, errs := s.run(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%q: code %d, want %d and %q:\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
}

func TestConfigCommands(t *testing.T) {
	s := newShell(t)
	file := s.write("c.yaml", "domain: example.com\ndata: data\nplugins: {dir: installed, use: [quick]}\nstubs: {quick: {password: tellnobody}}\n")
	code, out, errs := s.run("config", "validate", "--config", file)
	if code != 2 || !strings.Contains(errs, `no plug-in "msgnode-ws" is installed`) || !strings.Contains(errs, `no plug-in "quick" is installed`) || out != "" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	s.plugin("msgnode-ws", "node")
	s.plugin("quick", "node")
	if code, _, errs = s.run("config", "validate", "--config", file); code != 2 || !strings.Contains(errs, `of the kind "node", not "p2p"`) {
		t.Fatalf("%d %s", code, errs)
	}
	s.plugin("quick", "p2p")
	if code, out, errs = s.run("config", "validate", "--config", file); code != 0 || out != "valid\n" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(s.home, "data")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("validate has made the data folder")
	}
	s.write("installed/quick.bin", "#!/bin/sh\nevil\n")
	if code, _, errs = s.run("config", "validate", "--config", file); code != 2 || !strings.Contains(errs, "wrong checksum") {
		t.Fatalf("%d %s", code, errs)
	}
	if code, out, _ = s.run("plugins", "list", "--config", file); code != 0 || !strings.Contains(out, "msgnode-ws  1.0      node  ok") || !strings.Contains(out, "wrong checksum") {
		t.Fatalf("%d %s", code, out)
	}
	s.env = []string{"PROTOFLY_CONFIG=" + file, "PROTOFLY_LOG__LEVEL=debug"}
	if code, out, _ = s.run("config", "show", "--origin"); code != 0 || strings.Contains(out, "tellnobody") || !strings.Contains(out, "level: debug # PROTOFLY_LOG__LEVEL") {
		t.Fatalf("%d %s", code, out)
	}
	s.write("blocked", "a file")
	blocked := s.write("d.yaml", "domain: example.com\ndata: blocked/data\nplugins: {dir: installed, use: []}\n")
	if code, _, errs = s.run("config", "validate", "--config", blocked); code != 2 || !strings.Contains(errs, "data: ") {
		t.Fatalf("%d %s", code, errs)
	}
}

// A configuration that passes the check starts: the check finds a damaged key, damaged pins, and settings of unused plug-ins.
func TestValidateFindsWhatDoesNotStart(t *testing.T) {
	s := newShell(t)
	s.plugin("msgnode-ws", "node")
	s.plugin("quick", "p2p")
	base := "domain: example.com\ndata: data\nplugins: {dir: installed}\ntrust: {peers: [any], mode: pinned}\n"
	file := s.write("c.yaml", base)
	if err := os.Mkdir(filepath.Join(s.home, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	validate := func(what string, code int, words ...string) {
		t.Helper()
		got, out, errs := s.run("config", "validate", "--config", file)
		if got != code {
			t.Errorf("%s: %d, want %d: %s%s", what, got, code, out, errs)
		}
		for _, word := range words {
			if !strings.Contains(errs, word) {
				t.Errorf("%s: %q is not in %s", what, word, errs)
			}
		}
	}
	validate("nothing there yet", 0)
	s.write("data/"+identity.KnownFile, "protofly known-names")
	s.write("data/"+identity.KeyFile, "\x00\x00")
	for _, name := range []string{identity.KnownFile, identity.KeyFile} {
		if err := os.Chmod(filepath.Join(s.home, "data", name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	validate("damaged files", 2, "known names: ", "runtime key", "damaged", "remove it")
	for name, text := range map[string]string{identity.KnownFile: "protofly known-names", identity.KeyFile: "\x00\x00"} {
		if now, err := os.ReadFile(filepath.Join(s.home, "data", name)); err != nil || string(now) != text {
			t.Errorf("%s was changed: %q, %v", name, now, err)
		}
		if err := os.Remove(filepath.Join(s.home, "data", name)); err != nil {
			t.Fatal(err)
		}
	}
	s.write("c.yaml", base+"stubs: {quick: {a: 1}, msgnode-ws: {token: x}}\n")
	validate("settings of plug-ins in use", 0)
	s.write("c.yaml", base+"stubs: {quik: {a: 1}}\n")
	validate("settings of another one", 2, "stubs.quik: no plug-in of that name is used: those are msgnode-ws, quick")
}

func TestAskARuntime(t *testing.T) {
	s := newShell(t)
	socket := filepath.Join(s.home, "r", "api.sock")
	startFake(t, socket)
	s.env = []string{"PROTOFLY_SOCKET=" + socket}
	code, out, errs := s.run("status")
	if code != 0 || !strings.Contains(out, "runtime "+string(fakeURL)+", version 1.2, up 1m") || !strings.Contains(out, "hyperty://example.com/bob  1s") ||
		!strings.Contains(out, "quick    live") || !strings.Contains(out, "PLUG-IN  USER  BECAUSE\nquick    root  user 21 cannot read /x: do this") || strings.Contains(out, "msgnode-ws  22") || strings.Contains(out, "\x1b") ||
		!strings.Contains(out, "hyperty-runtime://example.com/plain  none     3     5         -    not once, not in order, not unread") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	var st api.Status
	if code, out, _ = s.run("status", "--json"); code != 0 || json.Unmarshal([]byte(out), &st) != nil || st.Connections[0].State != message.Live ||
		st.WithoutSessions[0].Session != "none" || st.WithoutSessions[0].Received != 5 {
		t.Fatalf("%d %s", code, out)
	}
	if code, out, _ = s.run("path", "hyperty://example.com/plain"); code != 0 || !strings.Contains(out, "session  none\n") {
		t.Fatalf("%d %s", code, out)
	}
	if code, out, _ = s.run("path", "hyperty://example.com/bob"); code != 0 || !strings.Contains(out, "way  relay\nwhy  no connection yet") {
		t.Fatalf("%d %s", code, out)
	}
	if code, _, errs = s.run("path", "hyperty://other.example/bob"); code != 1 || !strings.Contains(errs, "nobody has this address") {
		t.Fatalf("%d %s", code, errs)
	}
	if code, out, errs = s.run("plugins", "reload", "quick"); code != 0 ||
		out != "quick: version 2.0 (process 12) has taken over from 1.0 (process 11): started in 0.05 s, old process drained in 0.60 s\n" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if code, out, _ = s.run("plugins", "reload", "idle"); code != 0 || !strings.Contains(out, "idle does not run; version 2.0 is used when it does") {
		t.Fatalf("%d %s", code, out)
	}
	var r api.Reloaded
	if code, out, _ = s.run("plugins", "reload", "--json", "--restart", "quick"); code != 0 || json.Unmarshal([]byte(out), &r) != nil || r.NewPID != 12 || r.Cut != 1 {
		t.Fatalf("%d %s", code, out)
	}
	if code, out, errs = s.run("plugins", "reload", "broken"); code != 1 || out != "" || !strings.Contains(errs, "wrong checksum") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if code, out, errs = s.run("profile"); code != 0 || out != "a profile of : cpu" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if code, out, errs = s.run("profile", "quick", "--kind", "heap"); code != 0 || out != "a profile of quick: heap" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if code, out, errs = s.run("profile", "foreign"); code != 1 || out != "" || !strings.Contains(errs, "takes no profiles") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	s.env = nil
	file := s.write("c.yaml", "domain: example.com\napi: {socket: r/api.sock}\n")
	if code, _, errs = s.run("status", "--config", file); code != 0 {
		t.Fatalf("%d %s", code, errs)
	}
}

func TestSendAndListen(t *testing.T) {
	s := newShell(t)
	socket := filepath.Join(s.home, "r", "api.sock")
	startFake(t, socket)
	s.env = []string{"PROTOFLY_SOCKET=" + socket}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var out, errs buffer
	var listening sync.WaitGroup
	listening.Go(func() {
		if code := s.running(ctx, &out, &errs, "listen", "bob", "--echo", "--count", "4"); code != 0 {
			t.Errorf("listen: %d %s", code, errs.String())
		}
	})
	for !strings.Contains(errs.String(), "listening at hyperty://example.com/bob") && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	bob := "hyperty://example.com/bob"
	if code, o, e := s.run("send", "--from", "alice", bob, "hello"); code != 0 || o != "delivered\n" {
		t.Fatalf("%d %s%s", code, o, e)
	}
	if code, o, e := s.run("send", "--wait", "--type", "read", bob, `{"value":{"n":1}}`); code != 0 || o != "{\"n\":1}\n" {
		t.Fatalf("%d %s%s", code, o, e)
	}
	s.in = "from stdin\x1b[31m\nand on\n"
	if code, o, e := s.run("send", "--wait", bob, "-"); code != 0 {
		t.Fatalf("%d %s%s", code, o, e)
	}
	if code, o, e := s.run("send", bob); code != 0 {
		t.Fatalf("%d %s%s", code, o, e)
	}
	listening.Wait()
	want := fmt.Sprintf("%[1]salice update hello\n%[1]ssomebody read {\"n\":1}\n%[1]ssomebody update from stdin\\u001b[31m and on\n%[1]ssomebody update \n", "hyperty://example.com/")
	if out.String() != want {
		t.Fatalf("listened:\n%s\nwant:\n%s", out.String(), want)
	}
	for _, args := range [][]string{{"send", "hyperty://example.com/nobody", "x"}, {"send", "--wait", "hyperty://example.com/nobody", "x"}} {
		if code, _, e := s.run(args...); code != 1 || !strings.Contains(e, "nobody has the address") {
			t.Fatalf("%v: %d %s", args, code, e)
		}
	}
	s.in = strings.Repeat("x", message.MaxBody+10)
	if code, _, e := s.run("send", bob, "-"); code != 2 || !strings.Contains(e, "too large") {
		t.Fatalf("%d %s", code, e)
	}
}

func TestRun(t *testing.T) {
	s := newShell(t)
	s.plugin("msgnode-ws", "node")
	s.plugin("quick", "p2p")
	file := s.write("c.yaml", "domain: example.com\ndata: data\nplugins: {dir: installed}\napi: {socket: r/api.sock}\nlog: {level: debug, format: json}\n")
	var seen *config.Loaded
	s.start = func(_ context.Context, l *config.Loaded, log hclog.Logger, tr trace.Func) (engine, error) {
		seen = l
		log.Info("started", "use", l.Plugins.Use)
		tr.Emit(trace.Event{Kind: trace.Post, Value: "x"})
		return startFake(t, l.API.Socket), nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var out, errs buffer
	code := make(chan int, 1)
	tracePath := filepath.Join(s.home, "trace.jsonl")
	go func() { code <- s.running(ctx, &out, &errs, "run", "--config", file, "--trace", tracePath) }()
	want := fmt.Sprintf("runtime %s ready, socket %s\n", fakeURL, filepath.Join(s.home, "r", "api.sock"))
	deadline := time.Now().Add(40 * time.Second)
	for out.String() != want {
		if time.Now().After(deadline) {
			t.Fatalf("said %q, %s", out.String(), errs.String())
		}
		time.Sleep(time.Millisecond)
	}
	if c, o, e := s.run("status", "--config", file); c != 0 || !strings.Contains(o, string(fakeURL)) {
		t.Fatalf("%d %s%s", c, o, e)
	}
	cancel()
	if c := <-code; c != 0 || out.String() != want {
		t.Fatalf("%d %s%s", c, out.String(), errs.String())
	}
	if !strings.Contains(errs.String(), `"@message":"started"`) {
		t.Fatalf("log: %s", errs.String())
	}
	if text, err := os.ReadFile(tracePath); err != nil || !strings.Contains(string(text), `"kind":"post"`) {
		t.Fatalf("%s %v", text, err)
	}
	use, err := inUse(seen)
	if err != nil || len(use) != 1 || use[0] != "quick" {
		t.Fatal(use, err)
	}
	s.start = func(context.Context, *config.Loaded, hclog.Logger, trace.Func) (engine, error) {
		return nil, &api.InUseError{Socket: "x"}
	}
	if c, _, e := s.run("run", "--config", file); c != 1 || !strings.Contains(e, "a runtime serves at x already") {
		t.Fatalf("%d %s", c, e)
	}
}
