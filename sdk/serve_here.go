package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
)

// LinkOptions are the settings of [ServeLink]. The zero value works.
type LinkOptions struct {
	Log   hclog.Logger  // the log of the instances; nil: nothing is logged
	Grace time.Duration // how long the instances may take to end; 0: 5 s
}

// ServeLink runs instances of stub for one host that dials the listener, in this process: [Serve] without go-plugin's
// handshake, for tests such as those of package stubtest. It returns when ctx has ended: then the instances have ended, what
// they sent has reached the host, and the listener is closed. The error says that an instance did not end within
// [LinkOptions].Grace, or why the listener failed.
func ServeLink(ctx context.Context, l net.Listener, descriptor Descriptor, stub Stub, o LinkOptions) error {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	links := newLinkServer(descriptor, stub, o.Log)
	server := grpc.NewServer(link.ServerOptions()...)
	linkpb.RegisterPluginServer(server, links)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-served:
		served <- nil
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(o.Grace, stopGrace))
	defer cancel()
	err := links.Stop(grace)
	server.Stop()
	<-served
	links.Wait()
	if failed != nil {
		failed = fmt.Errorf("serve the link: %w", failed)
	}
	return errors.Join(failed, err)
}
