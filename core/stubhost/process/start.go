package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/quota"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/link"
)

// openFiles is how many files a process may have open.
const openFiles = 32 << 10

// Start starts a process of a plug-in and opens its link. It kills the process when ctx ends before the link works. Where it
// returns an error nothing is left of the process; the error is a [*failure.StartError], or the system's. Otherwise the caller
// calls [Process.Wait].
func Start(ctx context.Context, o Options) (*Process, error) {
	dir, err := os.MkdirTemp(o.Folder, "p")
	if err != nil {
		return nil, fmt.Errorf("plug-in %s: %w", o.Name, err)
	}
	pr := &Process{o: o, since: time.Now(), done: make(chan struct{}), runs: map[uint32]Run{}, run: prepare(&o, dir)}
	pr.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  link.Handshake(),
		VersionedPlugins: link.Plugins(nil),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     o.StartTimeout,
		Logger:           hclog.NewNullLogger(), // the errors say what matters
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
	pr.wg.Go(func() { quota.Watch(pr.ctx, dir, o.Quota, pr.KillFor) })
	late := time.AfterFunc(o.StartTimeout, pr.run.expire)
	stop := context.AfterFunc(ctx, func() { pr.run.kill() })
	err = pr.open(ctx)
	stop()
	late.Stop()
	if err != nil {
		pr.run.kill()
		pr.cleanUp()
		return nil, explain(pr.run, o.StartTimeout, err)
	}
	return pr, nil
}

// prepare makes the runner of a process. dir is the process's folder.
func prepare(o *Options, dir string) *runner {
	env := append([]string{"HOME=" + dir, "TMPDIR=" + dir}, o.Env...)
	r := newRunner(o.Name, o.As.Path, dir, env, o.Poll, o.Log.Named(o.Name))
	r.readTime, r.descendants, r.dedicated = o.Waits.Read, o.Descendants, o.As.Dedicated
	r.limits = sandbox.Limits{FileSize: uint64(o.Quota), OpenFiles: openFiles}
	if r.dedicated != nil {
		r.limits.Of = &r.dedicated.User
	}
	if o.Policy != nil {
		policy := *o.Policy
		policy.Dir, policy.Program, policy.Separate = dir, o.As.Path, r.dedicated != nil
		r.policy = &policy
	}
	return r
}

// open makes the connection and the link, and reads the plug-in's first frame.
func (pr *Process) open(ctx context.Context) error {
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
	if hello.Name != pr.o.Name {
		return &failure.StartError{Plugin: pr.o.Name, Reason: failure.Impostor,
			Detail: fmt.Sprintf("its executable is the plug-in %q; install it under its own name", failure.Text(hello.Name, failure.MaxVersion))}
	}
	pr.version = failure.Text(hello.Version, failure.MaxVersion)
	if hello.Pipes && pr.run.pipes == nil {
		return errors.New("it says that it uses pipes, but it was given none")
	} else if hello.Pipes {
		pr.conn = link.NewOnPipes(pr.run.pipes, pr)
		pr.run.pipes = nil
		pr.wg.Go(func() { pr.watchStream(stream) })
	} else {
		pr.conn = link.New(stream, pr)
	}
	pr.conn.Start()
	pr.wg.Go(pr.killFrozen)
	return nil
}

// watchStream waits for the end of the gRPC stream of a link that goes over pipes. Then the link ends too, after what
// the plug-in had sent before was read.
func (pr *Process) watchStream(stream link.Stream) {
	for {
		if _, err := link.Greeting(stream); err != nil { // after the greeting, a link over pipes receives nothing here but the end
			break
		}
	}
	late := time.NewTimer(pr.o.Waits.Exit)
	defer late.Stop()
	select {
	case <-pr.conn.Done():
	case <-late.C:
		pr.conn.End()
	case <-pr.ctx.Done():
		pr.conn.End()
	}
}

// killFrozen kills the process when it does not answer its health checks, so that the host handles it as a crash. It returns
// when the link has ended.
func (pr *Process) killFrozen() {
	if !checkHealth(pr.ctx, pr.conn.Done(), pr.rpc, pr.o.Health) {
		return
	}
	pr.mu.Lock()
	stopping := pr.stopping // then it is killed after Options.StopGrace
	pr.frozen = !stopping
	pr.mu.Unlock()
	if !stopping {
		pr.run.kill()
	}
}
