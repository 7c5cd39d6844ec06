package registry

import (
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
)

// Standing is an answer that is valid for many messages: owner may post as itself, and its messages to an address go over a
// certain P2P connection.
type Standing struct {
	registry *Registry
	version  uint64
	remote   *directory.Runtime
	way      *directory.Way
}

// Standing returns what [Registry.VerifyLocal] and [Registry.Resolve] would, for messages from owner itself to the address
// to. ok: owner may post, and there is a live P2P connection. In all other cases each message must be asked about.
func (r *Registry) Standing(owner, to message.URL) (s Standing, ok bool) {
	s = Standing{registry: r, version: r.directory.Version()} // read first: so Holds notices every later change
	if r.VerifyLocal(owner, owner) != nil {
		return s, false
	}
	if to.IsRuntime() {
		if s.remote, ok = r.directory.Runtime(to.Runtime()); !ok {
			return s, false
		}
		s.way = s.remote.Way()
		return s, s.way.Live()
	}
	a, ok := r.directory.Find(directory.Key(to))
	if !ok {
		return s, false
	}
	s.remote, s.way = a.Runtime, a.Runtime.Way()
	return s, s.way.Live() && a.Joined(s.way) // else Resolve of the next message enters the address into the connection's entry
}

// Holds tells whether the answer is still valid. Any number of goroutines may call it.
func (s *Standing) Holds() bool {
	return s.registry.directory.Version() == s.version && s.remote.Way() == s.way
}

// Route is the way over the connection.
func (s *Standing) Route() bus.Route { return s.way.Direct }
