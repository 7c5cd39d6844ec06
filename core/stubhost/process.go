package stubhost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/sdk/link"
	"github.com/protofly/protofly/sdk/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// process is one running process of a plug-in, and the host's end of its link.
type process struct {
	plugin *plugin
	as     identity
	run    *runner
	client *goplugin.Client
	conn   *link.Conn
	rpc    grpc.ClientConnInterface // what conn's stream is one of the calls of
	ctx    context.Context          // of the link's stream
	cancel context.CancelFunc
	since  time.Time
	done   chan struct{} // closed when the process is gone; err says why
	err    error

	mu       sync.Mutex
	version  string // of the plug-in
	runs     map[uint32]*incarnation
	last     uint32
	stopping bool
	frozen   bool   // it was killed because it did not answer
	guilt    string // what it was killed for; "": nothing
	offences offences
	wg       sync.WaitGroup
}

// waits is how long is waited for a process that is ending or gone, where Close has time left.
type waits struct {
	exit  time.Duration // for a process whose link has ended to exit by itself, so that its exit status is known; and the other way round
	read  time.Duration // for what an exited process has written to be read: a child that it left behind may hold the pipe open
	clear time.Duration // for what it has left behind to be killed
}

func usualWaits() waits { return waits{exit: time.Second, read: time.Second, clear: 2 * time.Second} }

// launchAs starts the process and opens the link. Nothing is left of it where it returns an error.
func (p *plugin) launchAs(ctx context.Context, spec Plugin, as identity) (*process, error) {
	o := &p.host.o
	dir, err := os.MkdirTemp(p.host.sockets, "p")
	if err != nil {
		return nil, fmt.Errorf("plug-in %s: %w", p.name, err)
	}
	pr := &process{plugin: p, as: as, since: time.Now(), done: make(chan struct{}), runs: map[uint32]*incarnation{}}
	pr.run = newRunner(p.name, as.path, dir, p.host.environment(dir), o.Poll, o.Log.Named(p.name))
	pr.run.readTime = p.host.waits.read
	pr.run.family, pr.run.policy = &p.host.family, p.host.policy(spec, as.path, dir)
	pr.run.limits = sandbox.Limits{FileSize: uint64(o.Quota), OpenFiles: openFiles}
	if pr.run.tenant = as.tenant; as.tenant != nil {
		pr.run.limits.Of = &as.tenant.user
		if pr.run.policy != nil {
			pr.run.policy.Separate = true
		}
	}
	pr.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  link.Handshake(),
		VersionedPlugins: link.Plugins(nil),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     o.StartTimeout,
		Logger:           hclog.NewNullLogger(), // what is worth saying the errors say
		SyncStdout:       pr.run.logs, SyncStderr: pr.run.logs,
		GRPCDialOptions:  link.DialOptions(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (pluginrunner.Runner, error) {
			pr.run.socketDir = socketDir
			pr.run.env = append(pr.run.env, cmd.Env...)
			return pr.run, nil
		},
	})
	pr.ctx, pr.cancel = context.WithCancel(context.Background())
	pr.wg.Go(pr.watchFolder)
	late := time.AfterFunc(o.StartTimeout, pr.run.expire)
	stop := context.AfterFunc(ctx, func() { pr.run.kill() })
	err = pr.open(ctx)
	stop()
	late.Stop()
	if err != nil {
		pr.run.kill()
		pr.cleanUp()
		return nil, pr.explain(err)
	}
	return pr, nil
}

// open makes the connection and the link, and reads the plug-in's first frame.
func (pr *process) open(ctx context.Context) error {
	client, err := pr.client.Client()
	if err != nil {
		return err
	}
	raw, err := client.Dispense(link.Name)
	if err != nil {
		return err
	}
	pr.rpc = raw.(*grpc.ClientConn)
	stream, err := link.Open(pr.ctx, pr.rpc)
	if err != nil {
		return err
	}
	hello, err := link.Greeting(stream) // ends with the process, which ends with ctx
	if err != nil {
		return fmt.Errorf("its first frame: %w", cmp.Or(ctx.Err(), err))
	}
	if hello.Name != pr.plugin.name {
		return &StartError{Plugin: pr.plugin.name, Reason: Impostor,
			Detail: fmt.Sprintf("its executable is the plug-in %q; install it under its own name", bounded(hello.Name, maxVersion))}
	}
	pr.version = bounded(hello.Version, maxVersion)
	if hello.Pipes && pr.run.pipes == nil {
		return errors.New("it wants to use pipes that it was not given")
	} else if hello.Pipes {
		pr.conn = link.NewOnPipes(pr.run.pipes, pr)
		pr.run.pipes = nil
		pr.wg.Go(func() { pr.overhear(stream) })
	} else {
		pr.conn = link.New(stream, pr)
	}
	pr.conn.Start()
	pr.wg.Go(func() { pr.examine(pr.rpc) })
	return nil
}

// overhear waits for the end of the stream of a link that goes over pipes. It is the link's end too, once what the
// plug-in has sent before was read.
func (pr *process) overhear(stream link.Stream) {
	for {
		if _, err := link.Greeting(stream); err != nil { // nothing comes by it any more
			break
		}
	}
	late := time.NewTimer(pr.plugin.host.waits.exit)
	defer late.Stop()
	select {
	case <-pr.conn.Done():
	case <-late.C:
		pr.conn.End()
	case <-pr.ctx.Done():
		pr.conn.End()
	}
}

// watch is the process's own goroutine: it waits for the end of the link and puts everything away.
func (pr *process) watch() {
	pr.awaitEnd()
	pr.mu.Lock()
	stopping := pr.stopping
	pr.mu.Unlock()
	if stopping {
		pr.client.Kill() // asks it to exit, and kills it where it does not
	} else {
		select {
		case <-pr.run.exited:
		case <-time.After(pr.plugin.host.waits.exit):
		case <-pr.plugin.host.late.Done():
		}
	}
	killed := pr.run.kill()
	pr.cleanUp()
	detail := pr.run.describeExit()
	if broken := new(link.ProtocolError); errors.As(pr.conn.Err(), &broken) {
		detail = broken.Error()
	} else if pr.guilt != "" {
		detail = pr.guilt
	} else if pr.frozen { // examine has ended
		detail = pr.frozenDetail()
	} else if killed {
		detail = "its link ended and it did not exit: " + detail
	}
	pr.err = &ExitError{Plugin: pr.plugin.name, Detail: bounded(detail, maxText)}
	pr.plugin.ended(pr, !stopping)
	close(pr.done)
}

// awaitEnd returns when the link has ended. That of a process which has exited is ended where it does not by itself: then
// somebody else holds its other end, a process that the plug-in has left behind.
func (pr *process) awaitEnd() {
	select {
	case <-pr.conn.Done():
		return
	case <-pr.run.exited:
	}
	late := time.NewTimer(pr.plugin.host.waits.exit) // what it has sent before is read
	defer late.Stop()
	select {
	case <-pr.conn.Done():
	case <-late.C:
		pr.conn.End()
	case <-pr.plugin.host.late.Done():
		pr.conn.End()
	}
}

// cleanUp waits for everything that belongs to a process that has exited.
func (pr *process) cleanUp() {
	defer context.AfterFunc(pr.plugin.host.late, pr.run.readNoMore)()
	pr.cancel()
	pr.client.Kill()
	if pr.run.pipes != nil {
		_ = pr.run.pipes.Close()
	}
	if pr.conn != nil {
		pr.conn.Wait()
	}
	pr.wg.Wait()
	pr.run.wait()
	if !pr.plugin.host.family.clear(pr.plugin.host.late, pr.plugin.host.waits.clear) {
		pr.run.logs.log.Error("the plug-in has left processes behind that do not end")
	}
	_ = os.RemoveAll(pr.run.dir)
}

// stop asks the process to end, and kills it after the grace or when ctx ends. It returns when it is gone.
func (pr *process) stop(ctx context.Context) {
	pr.mu.Lock()
	pr.stopping = true
	pr.mu.Unlock()
	pr.run.signal(syscall.SIGTERM)
	select {
	case <-pr.done:
	case <-ctx.Done():
	case <-time.After(pr.plugin.host.o.StopGrace):
	}
	pr.run.kill()
	<-pr.done
}

// dying tells whether the link has ended; the process follows it.
func (pr *process) dying() bool {
	select {
	case <-pr.conn.Done():
		return true
	default:
		return false
	}
}

// start has the process start an instance.
func (pr *process) start(i *instance, restarted bool) *incarnation {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.last++
	r := newIncarnation(i, pr, pr.last, restarted)
	pr.runs[pr.last] = r
	pr.conn.Control(&linkpb.Frame{Instance: pr.last, Kind: &linkpb.Frame_Start{Start: &linkpb.Start{
		Url: string(i.URL), Runtime: string(i.Runtime), Role: string(i.Role), Domain: i.Domain,
		Remote: string(i.Remote), Handler: string(i.Handler), Config: i.Config, Restarted: restarted,
	}}})
	return r
}

// Control is the link's control frames; see link.Handler. Kinds that only a host sends are ignored.
func (pr *process) Control(f *linkpb.Frame) error {
	pr.mu.Lock()
	r := pr.runs[f.Instance]
	if _, ok := f.Kind.(*linkpb.Frame_Ended); ok {
		delete(pr.runs, f.Instance)
	}
	pr.mu.Unlock()
	if r == nil {
		return nil
	}
	switch k := f.Kind.(type) {
	case *linkpb.Frame_Started:
		r.begin()
	case *linkpb.Frame_Ended:
		r.finish(bounded(k.Ended.Error, maxText))
	case *linkpb.Frame_OpenDoor:
		return r.open(k.OpenDoor)
	case *linkpb.Frame_CloseDoor:
		r.close(k.CloseDoor.Door)
	}
	return nil
}

// running is how many runs it has.
func (pr *process) running() int {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return len(pr.runs)
}

// drop forgets a run that does not end.
func (pr *process) drop(number uint32) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	delete(pr.runs, number)
}

// refuse tells the plug-in that a door is not opened.
func (pr *process) refuse(number, door uint32) {
	pr.conn.Control(&linkpb.Frame{Instance: number, Kind: &linkpb.Frame_CloseDoor{CloseDoor: &linkpb.CloseDoor{Door: door}}})
}

// doorURL checks a door's address: a stub opens its own URL, or one below it.
func doorURL(text string, owner message.URL) (message.URL, bool) {
	u, err := message.ParseURL(text)
	return u, err == nil && u.Within(owner)
}
