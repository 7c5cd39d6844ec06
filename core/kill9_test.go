package core_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A whole runtime is killed with -9: its plug-ins end too, and the next one takes its place and has its URL.
func TestRuntimeKilled(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	dir := shortDir(t)
	first := startProcess(t, dir, node)
	first.talk(t) // by then the Message Node's stub runs
	status := first.status(t)
	if len(status.Plugins) != len(built.transportIDs)+1 {
		t.Errorf("plug-ins %+v", status.Plugins)
	}
	kill(t, first.cmd.Process.Pid)
	_ = first.cmd.Wait()
	for _, p := range status.Plugins {
		if p.PID == 0 {
			t.Errorf("%s did not run", p.Name)
			continue
		}
		gone(t, p.PID, waitTime)
	}
	if len(sockets(t, dir)) == 0 {
		t.Error("no socket is left: the next start is not put to the test")
	}
	second := startProcess(t, dir, node)
	if second.url != first.url {
		t.Errorf("the runtime was %s, is %s", first.url, second.url)
	}
	second.talk(t)
	status = second.status(t)
	_ = second.cmd.Process.Signal(os.Interrupt)
	if err := second.cmd.Wait(); err != nil {
		t.Errorf("the second runtime ended with: %v", err)
	}
	for _, p := range status.Plugins {
		gone(t, p.PID, waitTime)
	}
	if left := sockets(t, dir); len(left) > 0 {
		t.Errorf("sockets left: %v", left)
	}
}

// process is a runtime in a process of its own.
type process struct {
	cmd    *exec.Cmd
	url    message.URL
	socket string
}

// temporary is a folder for files that a killed runtime leaves behind. Other users can reach it: plug-ins may run under IDs
// of their own.
func temporary(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t") // t.TempDir's is this user's alone
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startProcess starts a runtime. more is further lines of its configuration.
func startProcess(t *testing.T, dir string, node *nodeProcess, more ...string) *process {
	t.Helper()
	config := filepath.Join(dir, "config.yaml")
	p := &process{socket: filepath.Join(dir, "api")}
	text := fmt.Sprintf("domain: %s\nnode: %s\ndata: %s\napi: {socket: %s}\nlog: {level: warn}\n",
		node.domain, node.url, filepath.Join(dir, "data"), p.socket) + strings.Join(more, "\n")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(built.runtime, "run", "--config", config)
	p.cmd.Env = append(os.Environ(), "PROTOFLY_PLUGINS__DIR="+built.plugins, "TMPDIR="+temporary(t)) // what a killed one leaves behind
	p.cmd.Stderr = logWriter{t, "runtime"}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, err2 := fmt.Sscanf(line, "runtime %s ready", &p.url); err != nil || err2 != nil {
		t.Fatalf("the runtime said %q: %v %v", line, err, err2)
	}
	return p
}

func (p *process) status(t *testing.T) (s api.Status) {
	t.Helper()
	out, err := exec.Command(built.runtime, "status", "--json", "--socket", p.socket).CombinedOutput()
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		t.Fatalf("status: %v\n%s", err, out)
	}
	return s
}

// talk has two hyperties of the runtime exchange a request and its answer.
func (p *process) talk(t *testing.T) {
	t.Helper()
	client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: p.socket})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Close(t.Context()); err != nil {
			t.Errorf("close the client: %v", err)
		}
	}()
	var both [2]*hyperty.Hyperty
	for i := range both {
		if both[i], err = client.Register(t.Context(), hyperty.Registration{Name: fmt.Sprintf("app%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	both[1].Handle(answer)
	if r, err := both[0].Request(t.Context(), both[1].URL(), message.Read, nil); err != nil || string(r.Value) != `"here"` {
		t.Errorf("the request was answered with %s, %v", r.Value, err)
	}
}
