package main

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/cmd/runtime/config"
	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/core/trace"
)

// startCore is the starter of the real runtime.
func startCore(ctx context.Context, l *config.Loaded, log hclog.Logger, t trace.Func) (engine, error) {
	stubs, err := l.StubConfig()
	if err != nil {
		return nil, err
	}
	use, err := inUse(l)
	if err != nil {
		return nil, err
	}
	trust, err := l.Trusted()
	if err != nil {
		return nil, err
	}
	users, err := l.PluginUIDs()
	if err != nil {
		return nil, err
	}
	rt, err := core.Start(ctx, core.Config{
		Domain:    l.Domain,
		Nodes:     l.AllNodes(),
		Networks:  append([]string{}, l.Catalogue.Networks...),
		DataDir:   l.Data,
		PluginDir: l.Plugins.Dir,
		Socket:    l.API.Socket,
		NodeStub:  l.Plugins.Node,
		P2P: core.P2P{
			Use: use, Prefer: l.P2P.Prefer, Policy: l.P2P.Policy, NoChanges: !l.P2P.Changes,
		},
		Trust:       trust,
		StubConfig:  stubs,
		Sandbox:     sandbox.Mode(l.Plugins.Sandbox),
		PluginUsers: users,
		PluginPaths: l.Plugins.Paths, OwnProcess: true,
		Poll:        l.Poll(),
		Version:     buildVersion(),
		Log:         log,
		Trace:       t,
		TraceBodies: l.TraceBodies,
		SessionIdle: l.SessionIdle(),
	})
	if err != nil {
		return nil, err
	}
	return rt, nil
}
