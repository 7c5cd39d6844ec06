package doors

import (
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// BestRoute returns the best route to a runtime. The Registry implements it.
type BestRoute interface {
	RouteTo(remote message.URL) (bus.Route, error)
}

// PathUser uses the paths of sessions. [session.Sessions] implements it.
type PathUser interface {
	// UsePath moves the session with a runtime to a path at once.
	UsePath(remote message.URL, path session.Path)
	// Came returns the path by which the last frame of a runtime came, if the runtime has proven its key.
	Came(remote message.URL) (session.Path, bool)
}

// Deployed are the stubs of this runtime. [deployer.Deployer] implements it.
type Deployed interface {
	Has(stub message.URL, role sdk.Role) bool
}

// Paths connects the Registry, which knows routes to runtimes, with the sessions, which have a path each. All fields are
// required.
type Paths struct {
	Best     BestRoute
	Sessions PathUser
	Stubs    Deployed
}

// To returns the best path to a runtime, for a session's own frames; false: there is none at present. See [session.Options].
func (p *Paths) To(remote message.URL) (session.Path, bool) {
	r, err := p.Best.RouteTo(remote)
	return Path(r), err == nil
}

// Changed is called by the Registry when the best route to a runtime has changed; see [registry.Options].
func (p *Paths) Changed(remote message.URL, r bus.Route) { p.Sessions.UsePath(remote, Path(r)) }

// Came returns the Message Node's stub by which a remote runtime's last frame came; false: it came by none that is deployed.
// See [registry.NodeOptions].
func (p *Paths) Came(remote message.URL) (stub message.URL, ok bool) {
	path, ok := p.Sessions.Came(remote)
	return path.Stub, ok && !path.Direct && p.Stubs.Has(path.Stub, sdk.RoleNode)
}
