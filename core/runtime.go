package core

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/networks"
	"github.com/protofly/protofly/sdk/proof"
)

// Runtime is a running runtime. It is made by [Start] and must be closed.
type Runtime struct {
	config  Config
	log     hclog.Logger
	started time.Time

	lock      *flock.Flock
	identity  *identity.Identity
	networks  networks.Allowed // of domains that nobody here has named
	judge     *identity.Judge
	catalogue *catalogue.Catalogue
	bus       *bus.MessageBus
	host      *stubhost.Host
	sessions  *session.Sessions
	registry  *registry.Registry
	sync      *syncmanager.Manager
	api       *api.Server

	trace    trace.Hub
	doors    doors
	stubs    stubs
	notices  notices
	plain    plain
	watched  watched
	refusals refusals
	frames   sync.Pool // of *[]sdk.Frame: what is handed to the host

	ctx    context.Context // of everything that the runtime does by itself
	cancel context.CancelFunc
	wg     sync.WaitGroup
	life   sync.Mutex
	ending bool // guarded by life: nothing is begun in the background any more

	closeOnce sync.Once
	closeErr  error
}

// Start starts a runtime. It returns when the runtime can be used: its plug-ins run and the application API is
// served. It does not wait for the Message Node, which may come later. The error says which part failed and what to
// do; nothing is left behind then.
func Start(ctx context.Context, c Config) (*Runtime, error) {
	if c.Log == nil {
		c.Log = hclog.NewNullLogger()
	}
	c.Log = logs.Limit(c.Log)
	if c.NodeStub == "" {
		c.NodeStub = DefaultNodeStub
	}
	if c.Networks == nil {
		c.Networks = []string{networks.Public}
	}
	if len(c.P2P.Prefer) == 0 {
		c.P2P.Prefer = c.P2P.Use
	}
	rt := &Runtime{config: c, log: c.Log, started: time.Now()}
	rt.notices.rt, rt.plain.rt, rt.watched.rt, rt.refusals.rt = rt, rt, rt, rt
	rt.plain.lanes.Begin = rt.background
	rt.ctx, rt.cancel = context.WithCancel(context.Background())
	if c.Trace != nil {
		rt.trace.Watch(c.Trace, c.TraceBodies)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := rt.start(ctx); err != nil {
		closing, done := context.WithTimeout(context.Background(), closeTimeout)
		defer done()
		return nil, errors.Join(err, rt.Close(closing))
	}
	return rt, nil
}

func (rt *Runtime) start(ctx context.Context) (err error) {
	c := rt.config
	if rt.networks, err = networks.Parse(c.Networks); err != nil {
		return fmt.Errorf("networks of other domains: %w", err)
	}
	if c.OwnProcess {
		if err := sandbox.Conceal(); err != nil {
			return err
		}
	}
	if rt.lock, err = lock(c.DataDir, rt.log); err != nil {
		return err
	}
	if rt.identity, err = identity.Open(c.DataDir, c.Domain); err != nil {
		return err
	}
	judge, err := c.Trust.Judge(c.DataDir)
	if err != nil {
		return err
	}
	rt.judge = judge
	private, certificate, err := rt.identity.SessionKey()
	if err != nil {
		return err
	}
	if rt.catalogue, err = catalogue.Open(c.PluginDir); err != nil {
		return err
	}
	for _, name := range append([]string{c.NodeStub}, c.P2P.Use...) {
		if _, err := rt.catalogue.Find(name); err != nil {
			return err
		}
	}
	self := rt.identity.URL()
	rt.bus = bus.New(bus.Options{Runtime: self, Log: rt.log.Named("bus"), Trace: &rt.trace, Watch: &rt.watched})
	rt.host, err = stubhost.New(stubhost.Options{
		Dir:     filepath.Join(c.DataDir, "plugins"),
		Log:     rt.log.Named("plugin"),
		Message: rt.fromStub,
		Frames:  rt.framesIn,
		Prompt:  true,
		Poll:    c.Poll,
		Sandbox: c.Sandbox,
		Users:   c.PluginUsers,
		Secret:  []string{c.DataDir},
		Reaper:  c.OwnProcess,

		StartTimeout: c.waits.pluginStart,
	})
	if err != nil {
		return err
	}
	rt.sessions = session.New(session.Options{
		TTL:  c.waits.unacked,
		Self: self, Key: session.Key{Private: private, Certificate: certificate}, Trust: judge.Runtime, IdleTimeout: c.SessionIdle,
		Send: rt.sendFrames, TrySend: rt.trySendFrame, Announced: rt.announced, Ended: rt.ended, Deliver: rt.deliver, DeliverRun: rt.deliverRun, Refuse: rt.refusals.add, Route: rt.route, Events: rt.sessionEvent, Log: rt.log.Named("session"), Trace: &rt.trace,
	})
	rt.registry = registry.New(registry.Options{
		Runtime:     self,
		Domain:      c.Domain,
		Bus:         rt.bus,
		Deployer:    rt,
		Handlers:    rt.handlers(),
		Policy:      registry.Policy(c.P2P.Policy),
		P2P:         registry.P2POptions{Prefer: c.P2P.Prefer, Connects: proof.KeyDerived},
		Nodes:       registry.NodeOptions{Named: rt.named, Came: rt.came, InUse: rt.sessions.Uses, Back: rt.sessions.Returned},
		Own:         registry.OwnOptions{GivenUp: rt.sessions.Ended},
		Changes:     registry.ChangesOptions{Off: c.P2P.NoChanges},
		Sandbox:     rt.host.Post,
		PathChanged: rt.pathChanged,
		Log:         rt.log.Named("registry"),
		Trace:       &rt.trace,
		Trust: registry.Trust{
			Owner:     judge.Name,
			Unsigned:  func(u message.URL) bool { return judge.WithoutSession(u) == nil },
			SignEntry: rt.identity.SignEntry,
		},
	})
	rt.bus.Connect(rt.registry, rt, rt.registry)
	rt.identity.Serve(rt.bus, rt.stubs.signs) // until the bus is closed
	rt.sync = syncmanager.New(syncmanager.Options{
		Runtime: self, Domain: c.Domain, Bus: &observers{MessageBus: rt.bus}, Objects: objects{rt.registry}, Local: rt.registry.Local, Remote: rt.registry.Remote, Verify: rt.ownedBy, Log: rt.log.Named("sm"),
	})
	rt.registry.Start()
	if err := rt.deployHandlers(ctx); err != nil {
		return err
	}
	rt.wg.Go(rt.joinNode)
	if c.Socket != "" {
		rt.api, err = api.Serve(api.Options{Socket: c.Socket, Backend: rt, Plugin: rt.host.Owns, Log: rt.log.Named("api")})
	}
	return err
}

// background runs f in a goroutine that Close waits for; its context ends then.
func (rt *Runtime) background(f func(ctx context.Context)) {
	rt.life.Lock()
	defer rt.life.Unlock()
	if !rt.ending {
		rt.wg.Go(func() { f(rt.ctx) })
	}
}

// URL is the runtime's own address.
func (rt *Runtime) URL() message.URL { return rt.identity.URL() }

// Close ends the runtime: applications first, then connections, plug-ins and the rest. It returns when nothing is
// left: no process, no socket file, no goroutine. ctx bounds how long the parts may take to end in good order; they
// are ended in any case, within a second after that, whatever a plug-in does. It may be called more than once.
func (rt *Runtime) Close(ctx context.Context) error {
	rt.closeOnce.Do(func() { rt.closeErr = rt.close(ctx) })
	return rt.closeErr
}

func (rt *Runtime) close(ctx context.Context) error {
	var errs []error
	note := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("end %s: %w", what, err))
		}
	}
	if rt.api != nil {
		note("the application API", rt.api.Close(ctx))
	}
	if rt.registry != nil { // both wait for others, who may be gone: side by side
		left := make(chan error, 1)
		go func() { left <- rt.registry.Close(ctx) }()
		settle, done := context.WithTimeout(ctx, settleTime)
		note("sessions", rt.sessions.Close(settle))
		done()
		note("the registry", <-left)
	}
	rt.cancel()
	rt.life.Lock()
	rt.ending = true
	rt.life.Unlock()
	if rt.sync != nil {
		rt.sync.Close()
	}
	if rt.host != nil {
		note("the plug-ins", rt.host.Close(ctx))
	}
	if rt.bus != nil {
		rt.bus.Close()
	}
	rt.wg.Wait()
	if rt.lock != nil {
		note("the lock of the data folder", rt.lock.Close())
	}
	return errors.Join(errs...)
}
