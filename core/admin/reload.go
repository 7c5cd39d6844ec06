package admin

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
// see [api.Backend]. Package stubhost describes what moves to the new process, and how. The Registry knows which P2P
// connections move, and the sessions see to it that no message is lost or repeated meanwhile.
func (a *Admin) Reload(ctx context.Context, plugin string, restart bool) (api.Reloaded, error) {
	entry, err := a.Catalogue.Find(plugin)
	if err != nil {
		return api.Reloaded{}, err
	}
	if plugin != a.About.NodeStub && entry.Kind == sdk.KindNode {
		return api.Reloaded{}, fmt.Errorf("reload %s: this runtime does not use it: the stub of its Message Nodes is %s", plugin, a.About.NodeStub)
	}
	done, err := a.Host.Reload(ctx, a.Stubs.Plugin(entry), stubhost.ReloadOptions{
		Break: restart,
		Moved: func(stubs []message.URL) { a.moved(plugin, stubs) },
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

// moved is called when stubs run in the new process of a plug-in.
func (a *Admin) moved(plugin string, stubs []message.URL) {
	for _, url := range stubs {
		if a.Stubs.Has(url, sdk.RoleNode) { // the stub's address is the same, but what was on its way is lost
			a.Sessions.Again(session.Path{Door: url, Stub: url})
		}
	}
	a.Registry.Renew(plugin)
}
