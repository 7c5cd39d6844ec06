package stub

import (
	"bufio"
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/gobuild"
)

// program is the node's binary as a process of its own: the stub never imports the node.
type program struct {
	cmd  *exec.Cmd
	url  string // of the stub's endpoint
	addr string
	once sync.Once
}

// nodeBinary is the path of the node that build makes; TestMain sets it.
var nodeBinary string

// build builds the node, once a test run.
var build = sync.OnceValue(func() error {
	return gobuild.Program(context.Background(), nodeBinary, "cmd/msgnode")
})

// startNode starts a node; later arguments win over earlier ones.
func startNode(t testing.TB, data, listen string, more ...string) *program {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run", "--domain", domain, "--data", data, "--listen", listen, "--log-level", "error"}, more...)
	p := &program{cmd: exec.Command(nodeBinary, args...)}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(stdout).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		words := strings.Fields(text)
		if len(words) != 5 || words[0] != "listening" {
			t.Fatalf("the node printed %q", text)
		}
		p.url = words[2]
		p.addr = strings.TrimSuffix(strings.TrimPrefix(p.url, "ws://"), "/protofly")
	case <-time.After(patience):
		t.Fatal("the node does not start")
	}
	return p
}

// kill ends the node as a crash would.
func (p *program) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}
