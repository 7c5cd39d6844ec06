package admin

import (
	"context"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/sdk/message"
)

// Path returns the way that a message to an address would take at present; see [api.Backend].
func (a *Admin) Path(ctx context.Context, to message.URL) (api.Path, error) {
	if a.Bus.Listened(to) {
		return api.Path{To: to, Way: api.WayLocal, Remote: a.About.Runtime, Why: "somebody in this runtime listens to it"}, nil
	}
	r, err := a.Registry.Explain(ctx, to)
	if err != nil {
		return api.Path{}, err
	}
	p := api.Path{To: to, Way: api.WayRelay, Remote: r.Remote, Stub: r.Stub, Door: r.Door, Why: r.Why}
	if r.Direct {
		p.Way = api.WayDirect
	}
	if r.Remote != "" && plainpeers.Sessionless(r.Remote) {
		if err := a.Plain.Allows(r.Remote); err != nil {
			return api.Path{}, err
		}
		p.Session = api.NoSession
		p.Why += "; without a session (trust.without_sessions): not once, not in order, not unread"
	}
	return p, nil
}
