package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/internal/gcpace"
	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/logs"
)

// How long the parts of a plug-in's life may take.
const (
	linkTimeout = 15 * time.Second // from the start until the host opens the link
	stopGrace   = 5 * time.Second  // for the instances to end
	hostGrace   = time.Second      // for the host to close the plug-in when its link has ended
	parentCheck = time.Second      // between two looks at who the parent is
)

// Serve is the whole of a plug-in's main: it runs instances of stub for the host that started the process, and ends
// the process; it does not return. Called with --describe it prints the descriptor as JSON. Started by hand it
// says what a plug-in is for.
func Serve(descriptor Descriptor, stub Stub) {
	if len(os.Args) > 1 && os.Args[1] == "--describe" {
		if err := json.NewEncoder(os.Stdout).Encode(descriptor); err != nil {
			fmt.Fprintln(os.Stderr, "describe:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	shake := link.Handshake()
	if os.Getenv(shake.MagicCookieKey) != shake.MagicCookieValue {
		fmt.Fprintf(os.Stderr, `%s is a Protofly plug-in (%s, version %s): a runtime starts it, people do not.
To install it:            protofly plugins install %s
To see what it is:        %s --describe
`, filepath.Base(os.Args[0]), descriptor.Name, descriptor.Version, os.Args[0], os.Args[0])
		os.Exit(2)
	}
	log := logs.New(logs.Options{Output: os.Stderr, JSON: true, Level: hclog.LevelFromString(os.Getenv(link.LogLevelVariable))})
	share()
	os.Exit(serve(descriptor, stub, log))
}

// share leaves half of the processors to the core, which works on the same messages at the same time: Go's scheduler,
// with all of them, would spend on waking threads what it gains. On two processors that is a sixth of the CPU time of
// a stream of messages. GOMAXPROCS in the environment is the operator's word.
func share() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	}
}

// serve runs until the host, a signal or the host's death ends it, and returns the exit code.
func serve(d Descriptor, stub Stub, log hclog.Logger) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	links := newLinkServer(d, stub, log)
	if pipes, err := link.InheritedPipes(); err != nil {
		log.Warn("the link goes over gRPC", "error", err)
	} else {
		links.UsePipes(pipes)
	}
	// Before the handshake is printed: whoever reads it may send a signal at once.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	parent := os.Getppid()
	l := listener{made: make(chan struct{}), served: make(chan struct{})}
	code := make(chan int, 1)
	go func() {
		reason, ok := awaitEnd(ctx, links, signals, parent)
		log.Debug("ending", "reason", reason)
		l.end(links, log)
		if ok {
			code <- 0
		} else {
			code <- 1
		}
	}()
	go l.serve(links, log)
	pacing := make(chan struct{})
	go func() {
		defer close(pacing)
		gcpace.Run(ctx, gcpace.Room)
	}()
	<-l.served
	cancel()
	<-pacing
	return <-code
}

// listener is what the host reaches the plug-in at.
type listener struct {
	server *grpc.Server  // valid when made is closed
	made   chan struct{} // closed when it listens, never if that failed
	served chan struct{} // closed when it does not listen any more
}

// serve listens until the host has closed the plug-in or [listener.end] ends it. It prints the handshake, the only line that
// standard output ever gets, and then turns os.Stdout and os.Stderr into streams to the host.
func (l *listener) serve(links *linkServer, log hclog.Logger) {
	defer close(l.served)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  link.Handshake(),
		VersionedPlugins: link.Plugins(links),
		Logger:           log.Named("go-plugin"),
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			l.server = grpc.NewServer(append(o, link.ServerOptions()...)...)
			close(l.made)
			return l.server
		},
	})
}

// end ends the instances, and then the listening. The process ends some time later whatever hangs.
func (l *listener) end(links *linkServer, log hclog.Logger) {
	time.AfterFunc(2*stopGrace, func() { os.Exit(1) })
	grace, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if err := links.Stop(grace); err != nil {
		log.Warn("ended with instances running", "error", err)
	}
	select {
	case <-l.served: // the host has seen the link end and has closed us, or it never came to listening
	case <-time.After(hostGrace):
	}
	select {
	case <-l.made:
		l.server.Stop() // makes plugin.Serve return, which removes the socket
	case <-l.served:
	}
}

// awaitEnd returns why the process is to end, and whether that is in order.
func awaitEnd(ctx context.Context, links *linkServer, signals <-chan os.Signal, parent int) (reason string, ok bool) {
	look := time.NewTicker(parentCheck)
	defer look.Stop()
	late := time.NewTimer(linkTimeout)
	defer late.Stop()
	opened := links.opened
	for {
		select {
		case <-ctx.Done():
			return "the host closed the plug-in", true
		case s := <-signals:
			return s.String(), true
		case <-opened:
			late.Stop()
			opened = nil
		case <-links.ended:
			return "the host closed the link", true
		case <-late.C:
			return fmt.Sprintf("no host opened the link within %s", linkTimeout), false
		case <-look.C:
			if os.Getppid() != parent {
				return "the host is gone", false
			}
		}
	}
}
