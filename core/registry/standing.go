package registry

import (
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
)

// Standing is an answer that holds for many messages: that owner may post as itself, and that what it posts to an
// address goes over a certain P2P connection.
type Standing struct {
	registry *Registry
	version  uint64
	remote   *directory.Runtime
	way      *directory.Way
}

// Standing answers what [Registry.VerifyLocal] and [Registry.Resolve] would, of messages from owner itself to the
// address to. ok: owner may, and there is a live P2P connection; nothing else is said in advance.
func (r *Registry) Standing(owner, to message.URL) (s Standing, ok bool) {
	s = Standing{registry: r, version: r.directory.Version()} // first: what ends from now on is noticed
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
	return s, s.way.Live() && a.Joined(s.way) // else the next message has the address join
}

// Holds tells whether the answer would be the same now. It is safe for any number of goroutines.
func (s *Standing) Holds() bool {
	return s.registry.directory.Version() == s.version && s.remote.Way() == s.way
}

// Route is the way over the connection.
func (s *Standing) Route() bus.Route { return s.way.Direct }
