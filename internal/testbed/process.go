package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Process is a child process that has said on its first line of output that it is ready.
type Process struct {
	Line string // its first line of output
	name string
	cmd  *exec.Cmd
	log  string // the file with its standard error
	done chan struct{}
	err  error // after done
}

const (
	readyTimeout = 3 * time.Minute // also on a busy machine
	stopTimeout  = 15 * time.Second
)

// Command starts a program that says on its first line of output that it is ready. Name, Log and Args are required.
type Command struct {
	Name string   // for errors
	Log  string   // the file for its standard error, which is appended to
	Free bool     // it may outlive this process
	In   []string // a command to put in front that executes the program, such as "ip netns exec NAME"
	Args []string // the program and its arguments
}

// Start starts the program and waits until it is ready, for at most 3 minutes. If it ends before, or is not ready in time, the
// error has the end of its log, and the program does not run any more. On Linux the program ends with the goroutine that has
// called Start, unless c.Free is set. So a program that several subtests use is started by the test and not by a subtest.
func (c Command) Start(ctx context.Context) (*Process, error) {
	stderr, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stderr.Close() }()
	words := append(c.In[:len(c.In):len(c.In)], c.Args...)
	p := &Process{name: c.Name, cmd: exec.Command(words[0], words[1:]...), log: c.Log, done: make(chan struct{})}
	p.cmd.Stderr = stderr
	if !c.Free {
		dieWithParent(p.cmd)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	first := make(chan string, 1)
	go func() {
		defer close(p.done)
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		first <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, r)
		p.err = p.cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case p.Line = <-first:
		if p.Line != "" {
			return p, nil
		}
		<-p.done
		return nil, fmt.Errorf("%s ended at once: %w\n%s", c.Name, p.err, p.Tail())
	case <-ctx.Done():
		p.Stop()
		return nil, fmt.Errorf("%s is not ready: %w\n%s", c.Name, ctx.Err(), p.Tail())
	}
}

// PID returns the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Tail returns the end of the process's log.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-2000):])
}

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Kill kills the process, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end, kills it if it does not, and waits until it is gone.
func (p *Process) Stop() {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.cmd.Process.Kill()
	}
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.Kill()
	}
}
