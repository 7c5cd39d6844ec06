package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Process is a child as its parent sees it. Its methods are for one goroutine.
type Process struct {
	Name string
	Addr string // from its [Ready]

	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said *tailWriter
}

// stopTimeout is how long a child may take to end.
const stopTimeout = 15 * time.Second

// Start starts this program again as a child, with the command line args. It returns when the child is ready. name is for errors.
func Start(ctx context.Context, name string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return StartProgram(ctx, name, nil, self, args...)
}

// StartProgram is [Start] for another program, and with more in its environment.
func StartProgram(ctx context.Context, name string, environment []string, program string, args ...string) (*Process, error) {
	p := &Process{Name: name, cmd: exec.Command(program, args...), said: &tailWriter{}}
	p.cmd.Stderr = p.said
	p.cmd.Env = append(os.Environ(), environment...)
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 1<<16)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	var r Ready
	if err = p.read(ctx, &r); err == nil && r.Err != "" {
		err = errors.New(r.Err)
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w\n%s", name, err, p.said)
	}
	p.Addr = r.Addr
	return p, nil
}

// read reads a line of JSON. If ctx ends first it kills the child.
func (p *Process) read(ctx context.Context, v any) error {
	stop := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	defer stop()
	line, err := p.out.ReadBytes('\n')
	if ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return fmt.Errorf("it ended: %w", err)
	}
	return json.Unmarshal(line, v)
}

// Do makes the child carry out a command.
func (p *Process) Do(ctx context.Context, c Command) (r Result, err error) {
	text, err := json.Marshal(c)
	if err != nil {
		return r, err
	}
	if _, err = p.in.Write(append(text, '\n')); err == nil {
		err = p.read(ctx, &r)
	}
	if err == nil && r.Err != "" {
		err = errors.New(r.Err)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %s: %w\n%s", p.Name, c.Do, err, p.said)
	}
	return r, nil
}

// Usage asks the child what it has used. The child's own process is the first of the list.
func (p *Process) Usage(ctx context.Context) (Usage, error) {
	r, err := p.Do(ctx, Command{Do: "usage"})
	if err != nil {
		return Usage{}, err
	}
	u := *r.Usage
	u.PIDs = append([]int{p.cmd.Process.Pid}, u.PIDs...)
	return u, nil
}

// Stop ends the child.
func (p *Process) Stop() {
	_ = p.in.Close()
	kill := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait()
	kill.Stop()
}

// tailWriter keeps the end of what is written to it.
type tailWriter struct {
	mu   sync.Mutex
	text []byte
}

const keptTail = 4000

func (w *tailWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, b...)
	if len(w.text) > 2*keptTail {
		w.text = append(w.text[:0], w.text[len(w.text)-keptTail:]...)
	}
	return len(b), nil
}

func (w *tailWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.text))
}
