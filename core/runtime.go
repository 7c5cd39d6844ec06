package core

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/admin"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/apps"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/delivery"
	"github.com/protofly/protofly/core/deployer"
	"github.com/protofly/protofly/core/discovery"
	"github.com/protofly/protofly/core/doors"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/folderlock"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// The interfaces by which applications and the operator use a runtime, inside the process and over the local socket.
var (
	_ api.Backend     = (*Runtime)(nil)
	_ hyperty.Runtime = (*Runtime)(nil)
)

// logging is the runtime's log.
type logging struct {
	log   hclog.Logger
	peers logs.Peers // limits the lines about remote runtimes
}

// Runtime is a running runtime. It is made by [Start] and must be closed.
type Runtime struct {
	config Config
	logging
	trace trace.Hub

	lock      *folderlock.Lock
	identity  *identity.Identity
	key       session.Key
	policy    *identity.Policy
	catalogue *catalogue.Catalogue

	// Components, in the order in which they are made; see [Runtime.wire].
	background *work.Group // goroutines that belong to no component
	host       *stubhost.Host
	bus        *bus.MessageBus
	tracker    delivery.Tracker
	refusals   *delivery.Refusals
	doors      *doors.Table
	deployer   *deployer.Deployer
	sessions   *session.Sessions
	registry   *registry.Registry
	framesIn   doors.FramesIn
	plain      *plainpeers.Peers
	discovery  *discovery.Discovery
	apps       *apps.Apps
	sync       *syncmanager.Manager
	admin      admin.Admin
	api        *api.Server

	closing closing
}

// closing is a runtime's end, once.
type closing struct {
	once sync.Once
	err  error
}

// URL is this runtime's URL.
func (rt *Runtime) URL() message.URL { return rt.identity.URL() }

// Register makes a hyperty of an application in this process; see [hyperty.Runtime].
func (rt *Runtime) Register(ctx context.Context, r hyperty.Registration) (*hyperty.Hyperty, error) {
	return rt.apps.Register(ctx, r)
}

// Attach registers a hyperty of the application API; see [api.Backend].
func (rt *Runtime) Attach(ctx context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (api.Attachment, error) {
	a, err := rt.apps.Attach(ctx, r, deliver)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Status returns what runs here; see [api.Backend]. It fails while the runtime ends.
func (rt *Runtime) Status(context.Context) (api.Status, error) {
	if rt.background.Ended() {
		return api.Status{}, errors.New("the runtime is ending")
	}
	return rt.admin.Status(), nil
}

// Path returns the way that a message to an address would take at present; see [api.Backend].
func (rt *Runtime) Path(ctx context.Context, to message.URL) (api.Path, error) {
	return rt.admin.Path(ctx, to)
}

// Watch has f called for each event of the core, until stop is called; see [api.Backend].
func (rt *Runtime) Watch(f trace.Func, bodies bool) (stop func()) { return rt.trace.Watch(f, bodies) }

// Reload replaces the running process of a plug-in, while it is in use, by one of the executable that is installed now; see
// [api.Backend].
func (rt *Runtime) Reload(ctx context.Context, plugin string, restart bool) (api.Reloaded, error) {
	return rt.admin.Reload(ctx, plugin, restart)
}

// Profile measures where CPU time or memory goes, in the process of a plug-in or, if plugin is "", in the runtime's process,
// which may be an application's. It returns a file in the format of pprof. kind is "cpu", over so many seconds (1 to 60),
// "allocs" or "heap"; see internal/profile. A process takes one CPU profile at a time. If a plug-in was not made with sdk it
// may be unable to give one: the error says so.
func (rt *Runtime) Profile(ctx context.Context, plugin, kind string, seconds int) ([]byte, error) {
	return rt.admin.Profile(ctx, plugin, kind, seconds)
}
