package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/admin"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Start starts a runtime. It returns when the plug-ins run and the application API is served. It does not wait for a connection to
// the Message Node. The error says which part failed and what to do; then no process, file or goroutine is left.
func Start(ctx context.Context, c Config) (*Runtime, error) {
	if c.Log == nil {
		c.Log = hclog.NewNullLogger()
	}
	c.Log = logs.Limit(c.Log)
	if c.NodeStub == "" {
		c.NodeStub = DefaultNodeStub
	}
	c.Domain = strings.ToLower(c.Domain) // as all addresses are
	if c.Networks == nil {
		c.Networks = []string{networks.Public}
	}
	if len(c.P2P.Prefer) == 0 {
		c.P2P.Prefer = c.P2P.Use
	}
	rt := &Runtime{config: c, logging: logging{log: c.Log}, background: work.NewGroup()}
	rt.admin.About = admin.About{Domain: c.Domain, Version: c.Version, Started: time.Now(), NodeStub: c.NodeStub}
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

func (rt *Runtime) start(ctx context.Context) error {
	c := rt.config
	allowed, err := networks.Parse(c.Networks)
	if err != nil {
		return fmt.Errorf("networks of other domains: %w", err)
	}
	if c.OwnProcess {
		if err := sandbox.Conceal(); err != nil {
			return err
		}
	}
	if err := rt.open(); err != nil {
		return err
	}
	if rt.host, err = stubhost.New(rt.hostOptions()); err != nil {
		return err
	}
	rt.wire(allowed, nil)
	rt.registry.Start()
	rt.discovery.Start()
	var deployments []registry.Deployment
	for _, h := range rt.handlers() {
		deployments = append(deployments, registry.Deployment{URL: h.URL, Role: sdk.RoleHandler, Plugin: h.Name})
	}
	if err := rt.deployer.DeployAll(ctx, deployments); err != nil {
		return err
	}
	rt.background.Go(rt.joinNode)
	rt.sync.Restore()
	if c.Socket != "" {
		rt.api, err = api.Serve(api.Options{Socket: c.Socket, Backend: rt, Plugin: rt.host.Owns, Log: rt.log.Named("api")})
	}
	return err
}

// joinNode has the stub of this domain's Message Node deployed before a message needs it, so that remote runtimes can reach
// this one.
func (rt *Runtime) joinNode(ctx context.Context) {
	domain := rt.config.Domain
	if _, err := rt.registry.Explain(ctx, message.DomainRegistryAddress(domain)); err != nil && ctx.Err() == nil {
		rt.log.Warn("the own Message Node cannot be reached; it is tried again when it is needed", "domain", domain, "error", err)
	}
}

// open locks the data folder, reads the key and the pinned names in it, and checks that the plug-ins are installed.
func (rt *Runtime) open() (err error) {
	c := rt.config
	if c.DataDir == "" { // else it would be whatever folder the process is in
		return errors.New("data folder: none is set: DataDir is where the runtime's key is")
	}
	if rt.lock, err = safefile.Take(c.DataDir, rt.log); err != nil {
		return err
	}
	if rt.identity, err = identity.Open(c.DataDir, c.Domain); err != nil {
		return err
	}
	rt.admin.About.Runtime = rt.URL()
	if rt.policy, err = c.Trust.Policy(c.DataDir); err != nil {
		return err
	}
	if rt.key.Private, rt.key.Certificate, err = rt.identity.SessionKey(); err != nil {
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
	return nil
}

// Close ends the runtime: applications first, then connections, plug-ins and the rest. When it returns, no process, socket
// file or goroutine is left. Until ctx ends the components may end in good order; within a second after that they are ended
// in any case, whatever a plug-in does. Close may be called more than once.
func (rt *Runtime) Close(ctx context.Context) error {
	rt.closing.once.Do(func() { rt.closing.err = rt.close(ctx) })
	return rt.closing.err
}

// drain hands back what waits for applications, so that the sessions still tell its senders, and unregisters their hyperties.
func (rt *Runtime) drain(ctx context.Context) {
	var wg sync.WaitGroup
	if rt.api != nil {
		wg.Go(func() { rt.api.Drain(ctx) })
	}
	if rt.apps != nil {
		handlers, done := context.WithTimeout(ctx, settleTime)
		defer done()
		rt.apps.Drain(handlers)
	}
	wg.Wait()
}

func (rt *Runtime) close(ctx context.Context) error {
	var errs []error
	note := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("end %s: %w", what, err))
		}
	}
	rt.drain(ctx)
	if rt.registry != nil { // both wait for remote runtimes, which may be gone: side by side
		left := make(chan error, 1)
		go func() { left <- rt.registry.Close(ctx) }()
		settle, done := context.WithTimeout(ctx, settleTime)
		note("sessions", rt.sessions.Close(settle))
		done()
		note("the registry", <-left)
	}
	if rt.api != nil { // its applications hear first what became of their messages
		hear, done := context.WithTimeout(ctx, hearTime)
		_ = rt.refusals.Wait(hear)
		done()
		note("the application API", rt.api.Close(ctx))
	}
	rt.background.End()
	if rt.sync != nil {
		rt.sync.Close()
	}
	if rt.host != nil {
		note("the plug-ins", rt.host.Close(ctx))
	}
	if rt.bus != nil {
		rt.bus.Close()
	}
	rt.background.Wait()
	note("the lock of the data folder", rt.lock.Close())
	return errors.Join(errs...)
}
