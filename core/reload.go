package core

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Reload replaces the running process of a plug-in by one of the executable that is installed now, while it is in use;
// see api.Backend. What moves, and how, is described in package stubhost; which connections move the Registry knows,
// and the sessions see to it that no message is lost or repeated on the way.
func (rt *Runtime) Reload(ctx context.Context, plugin string, restart bool) (api.Reloaded, error) {
	entry, err := rt.catalogue.Find(plugin)
	if err != nil {
		return api.Reloaded{}, err
	}
	if plugin != rt.config.NodeStub && entry.Kind == sdk.KindNode {
		return api.Reloaded{}, fmt.Errorf("reload %s: this runtime does not use it: the stub of its Message Nodes is %s", plugin, rt.config.NodeStub)
	}
	done, err := rt.host.Reload(ctx, rt.stubs.Plugin(entry), stubhost.ReloadOptions{
		Break: restart,
		Moved: func(stubs []message.URL) { rt.moved(plugin, stubs) },
	})
	if err != nil {
		return api.Reloaded{}, err
	}
	r := api.Reloaded{Plugin: plugin, Running: done.Running, OldVersion: done.OldVersion, NewVersion: done.NewVersion,
		OldPID: done.OldPID, NewPID: done.NewPID, Cut: done.Cut}
	if done.Running {
		r.HandOver, r.Drain = done.HandedOff.Sub(done.Started).Seconds(), done.Ended.Sub(done.HandedOff).Seconds()
	} else {
		r.NewVersion = entry.Version
	}
	return r, nil
}

// moved is told that stubs run in the new process of a plug-in.
func (rt *Runtime) moved(plugin string, stubs []message.URL) {
	for _, url := range stubs {
		if rt.stubs.Has(url, sdk.RoleNode) { // the address is the same, what was under way is lost
			rt.sessions.Again(session.Path{Door: url, Stub: url})
		}
	}
	rt.registry.Renew(plugin)
}
