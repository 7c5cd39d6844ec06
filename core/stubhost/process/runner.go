package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	pluginrunner "github.com/hashicorp/go-plugin/runner"

	"github.com/protofly/protofly/core/stubhost/descendants"
	"github.com/protofly/protofly/core/stubhost/output"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/stubhost/users"
	"github.com/protofly/protofly/internal/link"
)

// runner runs one process for go-plugin. Unlike go-plugin's own runner it ends the process with the host, never
// waits for a pipe that an orphan holds open, reads the plug-in's output before the library does, and
// checks the address at which the plug-in listens.
type runner struct {
	name, path  string
	dir         string // the process's private directory, and its working directory
	socketDir   string // the folder that its socket has to be in
	env         []string
	poll        time.Duration
	log         hclog.Logger
	logs        *output.Output
	descendants *descendants.Tracker
	policy      *sandbox.Policy  // nil: it is not confined
	dedicated   *users.Dedicated // nil: it runs under this process's user
	limits      sandbox.Limits
	readTime    time.Duration // see Waits.Read
	pipes       *link.Pipes   // the host's ends of the link's pipes, until the link has them; nil: the process has none

	pid     atomic.Int64
	exited  chan struct{} // closed when the process is gone, or could not be started
	state   *os.ProcessState
	late    atomic.Bool   // it took too long to start
	line    chan struct{} // closed when the first line of its output was read, or will not come
	first   []byte        // that line
	wg      sync.WaitGroup
	killing atomic.Bool

	mu   sync.Mutex // guards proc, so that no signal is sent after the process was reaped
	proc *os.Process
	outs []*os.File // the pipes that its output is read from
}

var _ pluginrunner.Runner = (*runner)(nil)

func newRunner(name, path, dir string, env []string, poll time.Duration, log hclog.Logger) *runner {
	return &runner{name: name, path: path, dir: dir, env: env, poll: poll, log: log, logs: output.New(log),
		exited: make(chan struct{}), line: make(chan struct{})}
}

// Start starts the process; see go-plugin's Runner.
func (r *runner) Start(context.Context) error {
	outR, outW, err := os.Pipe()
	if err != nil {
		close(r.exited)
		return err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		outR.Close()
		outW.Close()
		close(r.exited)
		return err
	}
	cmd := &exec.Cmd{Path: r.path, Args: []string{r.name}, Env: r.env, Dir: r.dir, Stdout: outW, Stderr: errW,
		SysProcAttr: attributes()}
	pipes, theirs, err := link.PipePair(r.poll)
	if err != nil {
		r.log.Warn("the link goes over gRPC", "error", err)
	} else if pipes != nil {
		defer theirs[0].Close()
		defer theirs[1].Close()
		r.pipes = pipes
		cmd.ExtraFiles = theirs
		cmd.Env = append(cmd.Env, link.PipesVariable+"=3,4") // the first that are inherited beside the standard ones
	}
	started := make(chan error, 1)
	r.mu.Lock()
	r.outs = []*os.File{outR, errR}
	r.mu.Unlock()
	r.wg.Go(func() { r.keep(cmd, started) })
	err = <-started
	outW.Close()
	errW.Close()
	if err != nil {
		outR.Close()
		errR.Close()
		return err
	}
	r.wg.Go(func() { defer outR.Close(); r.readOutput(outR) })
	r.wg.Go(func() { defer errR.Close(); r.logs.Read(errR, true) })
	return nil
}

// keep starts the process, and stays on the thread until the process exits: Linux kills a child when the thread that has started
// it ends.
func (r *runner) keep(cmd *exec.Cmd, started chan<- error) {
	defer close(r.exited)
	sandbox.OnThread(func() {
		if err := r.begin(cmd); err != nil {
			started <- err
			return
		}
		started <- nil
		state := waitExit(cmd)
		r.mu.Lock()
		r.state, r.proc = state, nil
		r.mu.Unlock()
		r.descendants.Reaped(cmd.Process.Pid)
	})
	r.readUntil(time.Now().Add(r.readTime))
}

// readUntil sets the deadline for reading its output.
func (r *runner) readUntil(late time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, out := range r.outs {
		_ = out.SetReadDeadline(late)
	}
}

// readNoMore ends the reading of the output.
func (r *runner) readNoMore() { r.readUntil(time.Now()) }

// begin confines the calling thread and starts the process, which inherits that. The thread cannot be used for anything else
// afterwards.
func (r *runner) begin(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killing.Load() {
		return errors.New("the start was given up")
	}
	if r.dedicated != nil {
		if err := r.dedicated.Prepare(cmd, r.socketDir, r.dir); err != nil {
			return err
		}
	}
	if r.policy != nil {
		if err := sandbox.Confine(*r.policy); err != nil {
			return err
		}
	}
	err := r.descendants.Start(r.dir, func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	if err != nil {
		return err
	}
	r.proc = cmd.Process
	r.pid.Store(int64(cmd.Process.Pid))
	if err := sandbox.Limit(cmd.Process.Pid, r.limits); err != nil {
		r.log.Warn("the process is not limited", "error", err) // it may have ended
	}
	return nil
}

// readOutput reads the standard output: the first line is the handshake, all others are logged.
func (r *runner) readOutput(out io.Reader) {
	b := bufio.NewReaderSize(out, output.MaxLine)
	line, err := b.ReadSlice('\n')
	r.first = append([]byte(nil), line...)
	close(r.line)
	if err == nil || errors.Is(err, bufio.ErrBufferFull) {
		r.logs.Read(b, false)
	}
}

// firstLine is the standard output that go-plugin reads: the first line, and the end of file when the process ends.
type firstLine struct {
	r    *runner
	rest io.Reader
}

func (f *firstLine) Read(b []byte) (int, error) {
	if f.rest == nil {
		<-f.r.line
		f.rest = bytes.NewReader(f.r.first)
	}
	n, err := f.rest.Read(b)
	if err == io.EOF && n == 0 {
		<-f.r.exited
	}
	return n, err
}

// Stdout returns the first line of the standard output; see go-plugin's Runner for this method and those below.
func (r *runner) Stdout() io.ReadCloser { return io.NopCloser(&firstLine{r: r}) }

// Stderr returns nothing: the host logs the standard error itself.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name returns the plug-in's name.
func (r *runner) Name() string { return r.name }

// ID returns the process's ID, "" before it has one.
func (r *runner) ID() string {
	if pid := r.pid.Load(); pid != 0 {
		return strconv.FormatInt(pid, 10)
	}
	return ""
}

// Diagnose returns nothing: the host explains failures itself.
func (r *runner) Diagnose(context.Context) string { return "" }

// Wait waits until the process is gone.
func (r *runner) Wait(context.Context) error {
	<-r.exited
	return nil
}

// Kill kills the process and those it has started.
func (r *runner) Kill(context.Context) error {
	r.kill()
	return nil
}

// PluginToHost checks the address at which a plug-in listens: it is a Unix socket in the plug-in's own directory.
func (r *runner) PluginToHost(network, addr string) (string, string, error) {
	if network != "unix" || filepath.Dir(filepath.Clean(addr)) != filepath.Clean(r.socketDir) {
		return "", "", fmt.Errorf("it listens at %.80q %.200q and not in the directory that it was given", network, addr)
	}
	return network, addr, nil
}

// HostToPlugin changes nothing.
func (r *runner) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// kill kills the process and those it has started, and waits until it is gone. It tells whether there was one.
func (r *runner) kill() bool {
	r.killing.Store(true)
	r.mu.Lock()
	was := r.proc != nil
	if was {
		_ = r.proc.Kill() // its process group is killed when it is reaped
	}
	r.mu.Unlock()
	if was {
		<-r.exited
	}
	return was
}

// askToEnd sends the process SIGTERM, if it runs and the system has signals.
func (r *runner) askToEnd() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc != nil {
		terminate(r.proc)
	}
}

// expire kills a process that takes too long to start.
func (r *runner) expire() {
	r.late.Store(true)
	r.kill()
}

// gone tells whether the process has ended.
func (r *runner) gone() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// wait waits until the process is gone and its output was read.
func (r *runner) wait() {
	r.wg.Wait()
	r.logs.Flush()
}

func (r *runner) describeExit() string {
	select {
	case <-r.exited:
	default:
		return "it still runs"
	}
	s := "it could not be started"
	if r.state != nil {
		s = r.state.String()
	}
	if last := r.logs.LastLine(); last != "" {
		s += ": " + last
	}
	return s
}
