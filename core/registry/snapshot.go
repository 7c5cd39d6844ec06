package registry

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Status is the state of the Registry, for people to read. Its lists are sorted by address; Remotes has at most 1,000
// entries, those with a connection first.
type Status struct {
	Runtime     message.URL        `json:"runtime"`
	Hyperties   []HypertyStatus    `json:"hyperties"`
	Objects     []ObjectStatus     `json:"objects"`
	Stubs       []StubStatus       `json:"stubs"`
	Connections []ConnectionStatus `json:"connections"`
	Remotes     []RemoteStatus     `json:"remotes"`
	Known       int                `json:"known"`     // addresses of remote runtimes
	Runtimes    int                `json:"runtimes"`  // remote runtimes, also those not in Remotes
	Followers   int                `json:"followers"` // runtimes that follow this one's changes
	Version     uint64             `json:"version"`   // of /registry/changes
}

// HypertyStatus is a hyperty of this runtime.
type HypertyStatus struct {
	URL   message.URL `json:"url"`
	Name  string      `json:"name,omitempty"`
	User  message.URL `json:"user,omitempty"`
	Since time.Time   `json:"since"`
}

// ObjectStatus is a data object that is reported here.
type ObjectStatus struct {
	URL      message.URL `json:"url"`
	Name     string      `json:"name,omitempty"`
	Reporter message.URL `json:"reporter"`
	Schema   message.URL `json:"schema,omitempty"`
	Private  bool        `json:"private,omitempty"`
	Since    time.Time   `json:"since"`
}

// ConnectionStatus is a P2P connection.
type ConnectionStatus struct {
	Remote    message.URL    `json:"remote"`
	Plugin    string         `json:"plugin"`
	Role      sdk.Role       `json:"role"` // of the stub on this side
	Stub      message.URL    `json:"stub"`
	Door      message.URL    `json:"door,omitempty"` // where it is, or was, live
	State     message.Status `json:"state"`
	Since     time.Time      `json:"since"` // in this state
	Addresses int            `json:"addresses"`
	Attempts  int            `json:"attempts"`
	Desc      string         `json:"desc,omitempty"` // the reason, if the stub has given one
}

// RemoteStatus is a remote runtime.
type RemoteStatus struct {
	URL       message.URL `json:"url"`
	Addresses int         `json:"addresses"` // number of addresses known to live there
	Handlers  []Handler   `json:"handlers,omitempty"`
	Follows   bool        `json:"follows"` // its /registry/changes are in order here
}

const maxRemoteStatus = 1000

// Snapshot returns the Registry's present state. Of a closed Registry it is empty.
func (r *Registry) Snapshot() Status {
	s := r.emptyStatus()
	if r.ask(context.Background(), func() { r.fillStatus(&s) }) != nil {
		return r.emptyStatus()
	}
	slices.SortFunc(s.Hyperties, func(a, b HypertyStatus) int { return cmp.Compare(a.URL, b.URL) })
	slices.SortFunc(s.Objects, func(a, b ObjectStatus) int { return cmp.Compare(a.URL, b.URL) })
	slices.SortFunc(s.Stubs, func(a, b StubStatus) int { return cmp.Compare(a.URL, b.URL) })
	slices.SortFunc(s.Connections, func(a, b ConnectionStatus) int { return cmp.Compare(a.Remote, b.Remote) })
	slices.SortFunc(s.Remotes, func(a, b RemoteStatus) int { return cmp.Compare(a.URL, b.URL) })
	return s
}

func (r *Registry) emptyStatus() Status {
	return Status{Runtime: r.opts.Runtime, Hyperties: []HypertyStatus{}, Objects: []ObjectStatus{}, Stubs: []StubStatus{},
		Connections: []ConnectionStatus{}, Remotes: []RemoteStatus{}}
}

// fillStatus fills in what the loop owns. It runs in the loop.
func (r *Registry) fillStatus(s *Status) {
	r.locals.each(func(l *local) {
		if l.reporter == "" {
			s.Hyperties = append(s.Hyperties, HypertyStatus{l.url, l.name, l.user, l.since})
		} else {
			s.Objects = append(s.Objects, ObjectStatus{l.url, l.name, l.reporter, l.schema, l.private, l.since})
		}
	})
	r.stubs.each(func(one *stub) { s.Stubs = append(s.Stubs, one.status()) })
	for _, connected := range []bool{true, false} {
		r.directory.Each(func(rt *directory.Runtime) bool {
			c, has := r.peers.Current(rt.URL())
			if has != connected {
				return true
			}
			if connected {
				s.Connections = append(s.Connections, connectionStatus(&c, rt))
			}
			if len(s.Remotes) < maxRemoteStatus {
				f := r.following.by[rt.URL()]
				s.Remotes = append(s.Remotes, RemoteStatus{rt.URL(), rt.Addresses(), r.peers.Handlers(rt.URL()), f != nil && f.Synced()})
			}
			return connected || len(s.Remotes) < maxRemoteStatus
		})
	}
	s.Known, s.Runtimes = r.directory.Addresses(), r.directory.Runtimes()
	s.Followers, s.Version = r.publisher.Followers(), r.publisher.Version()
}

func connectionStatus(c *connections.Connection, rt *directory.Runtime) ConnectionStatus {
	return ConnectionStatus{Remote: c.Remote, Plugin: c.Plugin, Role: c.Role, Stub: c.Stub, Door: c.Door, State: c.State,
		Since: c.Since, Addresses: rt.Joined(), Attempts: c.Attempts, Desc: c.Desc}
}
