package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/gobuild"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTime bounds everything that a test waits for.
const waitTime = 30 * time.Second

// place is a folder with the binaries and the plug-ins, and what runs there.
type place struct {
	t   *testing.T
	dir string
}

// newPlace builds what the doc comment says.
func newPlace(t *testing.T) *place {
	dir, err := os.MkdirTemp("", "pf-chat-") // short: paths of sockets hold about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &place{t, dir}
	if err := gobuild.Programs(t.Context(), dir, "cmd/runtime", "cmd/msgnode", "plugins/msgnode-ws", "plugins/quic"); err != nil {
		t.Fatal(err)
	}
	p.command(p.file("runtime"), "plugins", "install", "--plugins", p.file("plugins"), p.file("msgnode-ws"), p.file("quic"))
	return p
}

// file is the path of a file there; binaries have the system's suffix.
func (p *place) file(name string) string {
	path := filepath.Join(p.dir, name)
	if runtime.GOOS == "windows" {
		if _, err := os.Stat(path + ".exe"); err == nil {
			return path + ".exe"
		}
	}
	return path
}

func (p *place) command(name string, args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*waitTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// start starts a binary that says on its first line that it is ready, and ends it with the test. It returns that line.
func (p *place) start(name string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command(p.file(name), args...)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	late := time.AfterFunc(waitTime, func() { _ = cmd.Process.Kill() }) // ends the read below, and the test
	line, err := bufio.NewReader(out).ReadString('\n')
	p.t.Cleanup(func() {
		if cmd.Process.Signal(os.Interrupt) != nil { // no such signal on this system
			_ = cmd.Process.Kill()
		}
		stuck := time.AfterFunc(waitTime, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		if !stuck.Stop() {
			p.t.Errorf("%s did not end when it was told to", name)
		}
		if p.t.Failed() {
			p.t.Logf("%s %s:\n%s", name, strings.Join(args, " "), log.String())
		}
	})
	if !late.Stop() || err != nil {
		p.t.Fatalf("%s is not ready: %q, %v", name, line, err)
	}
	return line
}

// terminal is where one of the two sits.
type terminal struct {
	t    *testing.T
	name string
	in   *io.PipeWriter
	done chan error

	mu     sync.Mutex
	shown  string
	change chan struct{}
}

// sit starts a chat.
func sit(t *testing.T, name, to, socket string) *terminal {
	r, w := io.Pipe()
	s := &terminal{t: t, name: name, in: w, done: make(chan error, 1), change: make(chan struct{})}
	go func() {
		err := chat(context.Background(), name, to, socket, r, s)
		_ = r.CloseWithError(io.ErrClosedPipe) // whoever types then does not wait
		s.done <- err
	}()
	t.Cleanup(func() { _ = w.Close() })
	return s
}

// Write shows what the chat prints.
func (s *terminal) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown += string(b)
	close(s.change)
	s.change = make(chan struct{})
	return len(b), nil
}

func (s *terminal) types(lines ...string) {
	s.t.Helper()
	for _, line := range lines {
		if _, err := fmt.Fprintln(s.in, line); err != nil {
			s.t.Fatalf("%s types %q: %v", s.name, line, err)
		}
	}
}

// sees waits until the text is on the terminal.
func (s *terminal) sees(text string) {
	s.t.Helper()
	timeout := time.After(waitTime)
	for {
		s.mu.Lock()
		shown, change := s.shown, s.change
		s.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		select {
		case <-change:
		case <-timeout:
			s.t.Fatalf("%s does not see %q, but:\n%s", s.name, text, shown)
		}
	}
}

// leaves ends the input and waits for the chat's end.
func (s *terminal) leaves() {
	s.t.Helper()
	_ = s.in.Close()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("%s's chat ended with: %v", s.name, err)
		}
	case <-time.After(waitTime):
		s.t.Fatalf("%s's chat does not end", s.name)
	}
}

// A node and two runtimes in processes of their own, and a chat over them.
func TestChat(t *testing.T) {
	p := newPlace(t)
	var url string
	line := p.start("msgnode", "run", "--domain", "example.com", "--listen", "127.0.0.1:0", "--data", p.file("node"))
	if _, err := fmt.Sscanf(line, "listening on %s", &url); err != nil {
		t.Fatalf("the node said %q: %v", line, err)
	}
	for _, name := range []string{"a", "b"} {
		p.start("runtime", "run", "--domain", "example.com", "--node", url, "--plugins", p.file("plugins"),
			"--data", p.file(name), "--socket", p.file(name+".sock"))
	}
	alice := sit(t, "alice", "hyperty://example.com/bob", p.file("a.sock"))
	alice.sees("you are hyperty://example.com/alice\n")
	bob := sit(t, "bob", "hyperty://example.com/alice", p.file("b.sock"))
	bob.sees("you are hyperty://example.com/bob\n")
	bob.types("hello alice")
	alice.sees("<hyperty://example.com/bob> hello alice\n")
	var want strings.Builder
	for n := range 200 {
		alice.types(fmt.Sprint("line ", n))
		fmt.Fprintf(&want, "<hyperty://example.com/alice> line %d\n", n)
	}
	bob.sees(want.String()) // all of them, once and in order
	bob.types("\x1b[2Jnot your terminal", "{}")
	alice.sees("<hyperty://example.com/bob> \uFFFD[2Jnot your terminal\n<hyperty://example.com/bob> {}\n")
	bob.types("last words")
	bob.leaves() // and yet they arrive
	alice.sees("<hyperty://example.com/bob> last words\n")
	alice.leaves()

	lonely := sit(t, "lonely", "hyperty://example.com/nobody", p.file("a.sock"))
	lonely.types("hello?")
	lonely.sees("not delivered: hyperty://example.com/nobody answered 404")
	lonely.leaves()
}

func TestBadArguments(t *testing.T) {
	for _, bad := range []struct{ name, to, want string }{
		{"alice", "bob", "-to"},
		{"", "hyperty://example.com/bob", "-name"},
		{"alice", "hyperty://example.com/bob", "none.sock"}, // no runtime is there
	} {
		err := chat(t.Context(), bad.name, bad.to, filepath.Join(t.TempDir(), "none.sock"), strings.NewReader("x\n"), io.Discard)
		if err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("chat of %q with %q: %v, want something about %s", bad.name, bad.to, err, bad.want)
		}
	}
}
