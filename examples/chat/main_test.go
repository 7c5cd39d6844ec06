package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTime bounds everything that a test waits for.
const waitTime = 30 * time.Second

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
	b, err := testbed.Open(t.Context(), testbed.Options{Runtimes: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Log(b.Logs())
		}
		b.Close()
	}()
	alice := sit(t, "alice", "hyperty://example.com/bob", b.Sockets["a"])
	alice.sees("you are hyperty://example.com/alice\n")
	bob := sit(t, "bob", "hyperty://example.com/alice", b.Sockets["b"])
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

	lonely := sit(t, "lonely", "hyperty://example.com/nobody", b.Sockets["a"])
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
