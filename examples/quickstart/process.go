package main

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

// process is a child process that says on its first line of output that it is ready.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // the file with what it wrote to stderr
	line string // its first line of output
	done chan struct{}
	err  error // after done
}

const readyTimeout = 20 * time.Second

// start starts a binary and waits until it is ready. Its log goes to the file log; bound ties its life to this
// process's.
func start(ctx context.Context, name, log string, bound bool, binary string, args ...string) (*process, error) {
	stderr, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stderr.Close() }()
	p := &process{name: name, cmd: exec.Command(binary, args...), log: log, done: make(chan struct{})}
	p.cmd.Stderr = stderr
	if bound {
		dieWithParent(p.cmd)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
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
	case p.line = <-first:
		if p.line != "" {
			return p, nil
		}
		<-p.done
		return nil, fmt.Errorf("%s ended at once: %w\n%s", name, p.err, p.tail())
	case <-ctx.Done():
		p.stop()
		return nil, fmt.Errorf("%s is not ready: %w\n%s", name, ctx.Err(), p.tail())
	}
}

// tail is the end of the process's log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-2000):])
}

// stop ends the process: first kindly, then not.
func (p *process) stop() {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.cmd.Process.Kill()
	}
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
