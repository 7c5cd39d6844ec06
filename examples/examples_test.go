// Package examples holds programs to copy; this is the test that runs them.
package examples

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/gobuild"
	"github.com/protofly/protofly/internal/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every example does what its comment says, as a process of its own, between two runtimes.
func TestExamples(t *testing.T) {
	b, err := testbed.Open(t.Context(), testbed.Options{Runtimes: []string{"alice", "bob"}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	defer func() {
		if t.Failed() {
			t.Log(b.Logs())
		}
	}()
	dir := t.TempDir()
	if err := gobuild.Programs(t.Context(), dir, "examples/request-answer", "examples/data-object", "examples/tracked-delivery", "examples/embedded"); err != nil {
		t.Fatal(err)
	}
	s := &stage{bed: b, dir: dir}
	t.Run("request-answer", s.requestAnswer)
	t.Run("data-object", s.dataObject)
	t.Run("tracked-delivery", s.trackedDelivery)
	t.Run("embedded", s.embedded)
}

// stage is where the examples run.
type stage struct {
	bed *testbed.Bed
	dir string // of their programs
}

func (s *stage) requestAnswer(t *testing.T) {
	service := s.start(t, "request-answer", "-socket", s.bed.Sockets["bob"], "-serve", "capitals")
	service.says("serving at hyperty://example.com/capitals")
	ask := []string{"-socket", s.bed.Sockets["alice"], "-ask"}
	s.start(t, "request-answer", append(ask, "hyperty://example.com/capitals", "hello", "there")...).says(`"HELLO THERE"`).ends("")
	s.start(t, "request-answer", append(ask, "hyperty://example.com/capitals")...).ends("there is no text")
	s.start(t, "request-answer", append(ask, "hyperty://example.com/nobody", "hello")...).ends("404")
	s.start(t, "request-answer").ends("give -serve or -ask")
}

func (s *stage) dataObject(t *testing.T) {
	reporter := s.start(t, "data-object", "-socket", s.bed.Sockets["alice"])
	board := strings.TrimPrefix(reporter.line("the board is comm://example.com/"), "the board is ")
	reporter.types("place here")
	observer := s.start(t, "data-object", "-socket", s.bed.Sockets["bob"], "-observe", board)
	observer.says("{") // with the first value, or without: either may come first
	reporter.types("place there", "time now")
	for observer.line("") != `place = "there"` {
	}
	observer.says(`time = "now"`)
	_ = reporter.in.Close()
	reporter.ends("")
	observer.ends("")
}

func (s *stage) trackedDelivery(t *testing.T) {
	receiver := s.start(t, "request-answer", "-socket", s.bed.Sockets["bob"], "-serve", "receiver")
	receiver.says("serving at")
	for to, want := range map[string]string{"receiver": "delivered", "nobody": "refused with code 404"} {
		sender := s.start(t, "tracked-delivery", "-socket", s.bed.Sockets["alice"], "-to", "hyperty://example.com/"+to)
		sender.types("one", "two")
		sender.says(want)
		sender.says(want)
		_ = sender.in.Close()
		sender.ends("")
	}
}

func (s *stage) embedded(t *testing.T) {
	common := []string{"-node", s.bed.Node, "-plugins", s.bed.Plugins, "-data"}
	clock := s.start(t, "embedded", append(common, filepath.Join(s.bed.Dir, "clock"), "-name", "clock")...)
	clock.says("the time is told at hyperty://example.com/clock")
	s.start(t, "embedded", append(common, filepath.Join(s.bed.Dir, "asker"), "-ask", "hyperty://example.com/clock")...).says(`"20`).ends("")
	if err := clock.cmd.Process.Signal(os.Interrupt); err == nil {
		clock.ends("")
	}
}

// patience bounds everything that is waited for.
const patience = time.Minute

// program is one that runs.
type program struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	said bytes.Buffer // on stderr
	late *time.Timer
}

// start starts a program; the test's end ends it.
func (s *stage) start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: name, cmd: exec.Command(filepath.Join(s.dir, gobuild.Name(name)), args...)}
	p.cmd.Stderr = &p.said
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.late = time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() }) // ends what waits for it
	t.Cleanup(func() {
		p.late.Stop()
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *program) types(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(p.in, line+"\n"); err != nil {
			p.t.Fatalf("%s: %v", p.name, err)
		}
	}
}

// line is the next line of output, which begins with want.
func (p *program) line(want string) string {
	p.t.Helper()
	if !p.out.Scan() {
		_ = p.cmd.Wait()
		p.t.Fatalf("%s ended, and has not said %q: %s", p.name, want, p.said.String())
	}
	if !strings.HasPrefix(p.out.Text(), want) {
		p.t.Fatalf("%s says %q, want %q", p.name, p.out.Text(), want)
	}
	return p.out.Text()
}

// says is line, for what is said on one line with the next step.
func (p *program) says(want string) *program {
	p.t.Helper()
	p.line(want)
	return p
}

// ends waits for the program's end: a good one where want is "", else a failure that says so.
func (p *program) ends(want string) {
	p.t.Helper()
	for p.out.Scan() {
		p.t.Errorf("%s says %q", p.name, p.out.Text())
	}
	err := p.cmd.Wait()
	if !p.late.Stop() {
		p.t.Errorf("%s did not end in time", p.name)
	}
	if (err == nil) != (want == "") || !strings.Contains(p.said.String(), want) {
		p.t.Errorf("%s ended with %v and %q, want %q", p.name, err, p.said.String(), want)
	}
}
