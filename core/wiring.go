package core

import (
	"context"
	"path/filepath"

	"github.com/protofly/protofly/core/apps"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/delivery"
	"github.com/protofly/protofly/core/deployer"
	"github.com/protofly/protofly/core/discovery"
	"github.com/protofly/protofly/core/doors"
	"github.com/protofly/protofly/core/events"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// wire makes the components and connects them. Before it only the host runs. tune, if not nil, may change the options of the
// sessions and of the Registry.
//
// Components are made in the order in which a message that leaves meets them. Where a component needs one that is made later, it
// gets a function, or a struct that is filled in at the end of wire, and uses that one only after wire has returned.
func (rt *Runtime) wire(allowed networks.Allowed, tune func(*session.Options, *registry.Options)) {
	rt.wireBus()
	rt.wireStubs(allowed)
	entrance := &doors.Entrance{Bus: rt.bus, Handler: rt.isHandler, Log: rt.log}
	happened := &events.Sessions{Tracker: &rt.tracker, Refusals: rt.refusals, Log: rt.log, Peers: &rt.peers, Trace: &rt.trace}
	paths := &doors.Paths{Stubs: rt.deployer}

	so, ro := rt.sessionOptions(entrance, paths, happened.Event), rt.registryOptions(paths)
	if tune != nil {
		tune(&so, &ro)
	}
	rt.sessions = session.New(so)
	ro.Nodes.InUse, ro.Nodes.Back, ro.Own.GivenUp = rt.sessions.Uses, rt.sessions.Returned, rt.sessions.Ended
	rt.registry = registry.New(ro)
	rt.wireDiscovery(happened)

	rt.framesIn = doors.FramesIn{Self: rt.URL(), Table: rt.doors, Sessions: rt.sessions, Log: rt.log, Trace: &rt.trace}
	rt.wireExit()
	rt.wireApps(entrance)
	entrance.Owners, happened.Connections, happened.Observers = rt.registry, rt.registry, rt.sync
	paths.Best, paths.Sessions = rt.registry, rt.sessions
	rt.admin.Bus, rt.admin.Registry, rt.admin.Sessions, rt.admin.Plain = rt.bus, rt.registry, rt.sessions, rt.plain
	rt.admin.Catalogue, rt.admin.Stubs, rt.admin.Host = rt.catalogue, rt.deployer, rt.host
}

// wireBus makes the MessageBus, and the components that report undelivered messages to their senders.
func (rt *Runtime) wireBus() {
	rt.bus = bus.New(bus.Options{Runtime: rt.URL(), Log: rt.log.Named("bus"), Trace: &rt.trace, Tracker: &rt.tracker})
	rt.refusals = delivery.NewRefusals(delivery.RefusalOptions{Bus: rt.bus, Go: rt.background.Go, Log: rt.log})
	rt.tracker.Self, rt.tracker.Refuse = rt.URL(), rt.refusals.Own
}

// hostOptions are the options of the host of plug-ins.
func (rt *Runtime) hostOptions() stubhost.Options {
	c := rt.config
	return stubhost.Options{
		Dir: filepath.Join(c.DataDir, "plugins"), Secret: []string{c.DataDir},
		Sandbox: c.Sandbox, Users: c.PluginUsers, Reaper: c.OwnProcess,
		Prompt: true, Poll: c.Poll, StartTimeout: c.waits.pluginStart,
		Message: func(ctx context.Context, stub message.URL, m message.Message) error {
			return rt.deployer.Receive(ctx, stub, m)
		},
		Frames: rt.framesIn.Take,
		Log:    rt.log.Named("plugin"),
	}
}

// wireStubs makes the table of doors, and the stubs that the host runs.
func (rt *Runtime) wireStubs(allowed networks.Allowed) {
	c := rt.config
	rt.doors = doors.NewTable(c.Domain)
	rt.deployer = deployer.New(deployer.Options{
		Self: rt.URL(), Catalogue: rt.catalogue, Host: rt.host, MiniBuses: rt.host, Bus: rt.bus, Doors: rt.doors,
		Config: deployer.Config{Domain: c.Domain, Nodes: c.Nodes, Networks: allowed, NodeStub: c.NodeStub,
			DataDir: c.DataDir, StubConfig: c.StubConfig, PluginPaths: c.PluginPaths},
		Plain:    func(node plainpeers.Node, m message.Message) { rt.plain.Receive(node, m) },
		NodeLive: func(domain string) { rt.apps.NodeLive(domain) },
		Gone:     rt.gone,
		Away:     rt.away,
		Peers:    &rt.peers,
		Log:      rt.log,
	})
}

// sessionOptions are the options of the sessions; happened is called with their events.
func (rt *Runtime) sessionOptions(in *doors.Entrance, paths *doors.Paths, happened func(session.Event)) session.Options {
	frames := &doors.FramesOut{Host: rt.host}
	return session.Options{
		Self: rt.URL(), Key: rt.key, Trust: rt.policy.Runtime,
		TTL: rt.config.waits.unacked, IdleTimeout: rt.config.SessionIdle,
		Silence: session.Silence{Keeps: func(remote message.URL) bool { return rt.sync.Relies(remote) }},
		Send:    frames.Send, TrySend: frames.TrySend, Route: paths.To,
		Acceptor: in,
		Claims: session.Claims{Announced: func(ctx context.Context, remote message.URL, list []message.URL) {
			rt.registry.Announced(ctx, remote, list)
		}, Ended: func(ctx context.Context, remote message.URL, list []message.URL) {
			rt.registry.Ended(ctx, remote, list)
		}},
		Refuse: rt.refusals.Add, Rejections: true, Events: happened,
		Log: rt.log.Named("session"), Trace: &rt.trace,
	}
}

// registryOptions are the options of the Registry, without those that need the sessions.
func (rt *Runtime) registryOptions(paths *doors.Paths) registry.Options {
	c := rt.config
	named := func(domain string) bool {
		_, ok := c.Nodes[domain]
		return ok
	}
	unsigned := func(u message.URL) bool { return rt.policy.WithoutSession(u) == nil }
	return registry.Options{
		Runtime: rt.URL(), Domain: c.Domain, Bus: rt.bus, Deployer: rt.deployer, Handlers: rt.handlers(), Policy: registry.Policy(c.P2P.Policy),
		P2P:     registry.P2POptions{Prefer: c.P2P.Prefer, Connects: proof.KeyDerived},
		Trust:   registry.Trust{Owner: rt.policy.Name, Unsigned: unsigned, SignEntry: rt.identity.SignEntry, MayFind: rt.policy.MayFind},
		Nodes:   registry.NodeOptions{Came: paths.Came, Named: named, State: func(domain string, live bool) { rt.discovery.Node(domain, live) }},
		Changes: registry.ChangesOptions{Off: c.P2P.NoChanges},
		Sandbox: rt.host.Post, PathChanged: paths.Changed, Moved: func(u message.URL) { rt.discovery.Moved(u) },
		Log: rt.log.Named("registry"), Peers: &rt.peers, Trace: &rt.trace,
	}
}

// handlers are this runtime's P2P Handlers, one for each P2P plug-in in use.
func (rt *Runtime) handlers() []registry.Handler {
	list := make([]registry.Handler, 0, len(rt.config.P2P.Use))
	for _, name := range rt.config.P2P.Use {
		list = append(list, registry.Handler{Name: name, URL: rt.URL().Join("p2phandler", name)})
	}
	return list
}

// isHandler tells whether u is a P2P Handler of this runtime.
func (rt *Runtime) isHandler(u message.URL) bool { return rt.deployer.Has(u, sdk.RoleHandler) }

// gone is called when a hyperty, or a stub, of this runtime has ended.
func (rt *Runtime) gone(component message.URL) { rt.sync.ComponentGone(component) }

// left is told that an application has ended a hyperty.
func (rt *Runtime) left(hyperty message.URL) {
	rt.discovery.Left(hyperty)
	rt.gone(hyperty)
}

// lost is told that a hyperty has gone because its application's process or connection has ended.
func (rt *Runtime) lost(hyperty message.URL) {
	rt.discovery.Left(hyperty)
	rt.sync.ComponentLost(hyperty)
}

// away is told by a Message Node, behind a stub, that a remote runtime is not connected to it.
func (rt *Runtime) away(remote, stub message.URL) {
	rt.sessions.Away(remote, stub)
	rt.discovery.Away(remote)
}

// wireDiscovery makes the component that finds and watches for applications. Nothing is registered before it is there.
func (rt *Runtime) wireDiscovery(happened *events.Sessions) {
	rt.discovery = discovery.New(discovery.Options{
		Runtime: rt.URL(), Domain: rt.config.Domain, Bus: rt.bus, Registry: rt.registry, Registrations: registrations{rt},
		Heard: rt.sessions.Heard, Go: rt.background.Go, Log: rt.log.Named("discovery"),
	})
	happened.Watcher = rt.discovery
}

// registrations are those that the applications' component follows, which is made later.
type registrations struct{ rt *Runtime }

func (r registrations) Follow(who message.URL, addresses []message.URL, listen func(at message.URL) (stop func())) error {
	return r.rt.apps.Follow(who, addresses, listen)
}

func (r registrations) Unfollow(who message.URL, addresses []message.URL) {
	r.rt.apps.Unfollow(who, addresses)
}

// wireExit connects the MessageBus with the ways out of this runtime.
func (rt *Runtime) wireExit() {
	rt.plain = plainpeers.New(plainpeers.Options{
		Self: rt.URL(), Domain: rt.config.Domain, Policy: rt.policy, Directory: rt.registry, Routes: rt.registry,
		Bus: rt.bus, Post: rt.host.Post, Go: rt.background.Go, Log: rt.log, Trace: &rt.trace,
	})
	exit := &doors.Exit{Self: rt.URL(), Sessions: rt.sessions, Routes: rt.registry, Plain: rt.plain, Stub: rt.host.Post}
	rt.bus.Connect(bus.Outside{Resolver: rt.registry, Forwarder: exit, Authority: rt.registry, Ways: exit})
	rt.identity.Serve(rt.bus, rt.deployer.Signs) // until the bus is closed
}

// wireApps makes the components that applications use.
func (rt *Runtime) wireApps(in *doors.Entrance) {
	rt.apps = apps.New(apps.Options{
		Self: rt.URL(), Bus: rt.bus, Request: rt.bus.Request, Registry: rt.registry, Tracker: &rt.tracker,
		Gone: rt.left, Lost: rt.lost, Go: rt.background.Go, Log: rt.log,
	})
	rt.sync = syncmanager.New(syncmanager.Options{
		Runtime: rt.URL(), Domain: rt.config.Domain, Bus: plainpeers.NewObservers(rt.bus), Objects: rt.registry,
		Local: rt.registry.Local, Remote: rt.registry.Remote, Verify: in.OwnedBy, Log: rt.log.Named("sm"),
		Folder: keptObjects(rt.config.DataDir),
	})
}

// keptObjects is the folder of the data objects that outlive the runtime; "" where it has no data folder: then none do.
func keptObjects(data string) string {
	if data == "" {
		return ""
	}
	return filepath.Join(data, "objects")
}
