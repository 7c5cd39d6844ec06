package registry

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Status is what the Registry knows, for people. Its lists are sorted by address; Remotes has at most 1,000 entries,
// those with a connection first.
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

// StubStatus is a stub of this runtime.
type StubStatus struct {
	URL    message.URL    `json:"url"`
	Role   sdk.Role       `json:"role"`
	Plugin string         `json:"plugin,omitempty"`
	Domain string         `json:"domain,omitempty"`
	Remote message.URL    `json:"remote,omitempty"`
	State  message.Status `json:"state"`
	Since  time.Time      `json:"since"`
	Desc   string         `json:"desc,omitempty"`
}

// ConnectionStatus is a P2P connection.
type ConnectionStatus struct {
	Remote    message.URL    `json:"remote"`
	Plugin    string         `json:"plugin"`
	Role      sdk.Role       `json:"role"` // of the stub at this side
	Stub      message.URL    `json:"stub"`
	Door      message.URL    `json:"door,omitempty"` // where it is, or was, live
	State     message.Status `json:"state"`
	Since     time.Time      `json:"since"` // in this state
	Addresses int            `json:"addresses"`
	Attempts  int            `json:"attempts"`
	Desc      string         `json:"desc,omitempty"` // why, where the stub said so
}

// RemoteStatus is a remote runtime.
type RemoteStatus struct {
	URL       message.URL `json:"url"`
	Addresses int         `json:"addresses"` // that are known to live there
	Handlers  []Handler   `json:"handlers,omitempty"`
	Follows   bool        `json:"follows"` // its /registry/changes are in order here
}

const maxRemoteStatus = 1000

// Snapshot is the Registry's present state. Of a closed Registry it is empty.
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

// fillStatus runs in the loop.
func (r *Registry) fillStatus(s *Status) {
	r.locals.each(0, shardCount, func(in *item[*local]) bool {
		l := in.value
		if l.reporter == "" {
			s.Hyperties = append(s.Hyperties, HypertyStatus{l.url, l.name, l.user, l.since})
		} else {
			s.Objects = append(s.Objects, ObjectStatus{l.url, l.name, l.reporter, l.schema, l.private, l.since})
		}
		return true
	})
	r.stubs.each(0, shardCount, func(in *item[*stub]) bool {
		s.Stubs = append(s.Stubs, in.value.status())
		return true
	})
	for _, connected := range []bool{true, false} {
		r.remotes.each(0, shardCount, func(in *item[*remote]) bool {
			rem := in.value
			if (rem.conn != nil) != connected {
				return true
			}
			if connected {
				s.Connections = append(s.Connections, rem.conn.status())
			}
			if len(s.Remotes) < maxRemoteStatus {
				s.Remotes = append(s.Remotes, RemoteStatus{rem.url, rem.refs, slices.Clone(rem.handlers), rem.follow.synced})
			}
			return connected || len(s.Remotes) < maxRemoteStatus
		})
	}
	s.Known, s.Runtimes = r.addresses.len(), r.remotes.len()
	s.Followers, s.Version = len(r.publishing.followers), r.publishing.version
}

func (s *stub) status() StubStatus {
	return StubStatus{s.URL, s.Role, s.Plugin, s.Domain, s.Remote, s.state, s.since, s.desc}
}

func (c *connection) status() ConnectionStatus {
	return ConnectionStatus{Remote: c.remote.url, Plugin: c.plugin, Role: c.role, Stub: c.stub, Door: c.door, State: c.state,
		Since: c.since, Addresses: int(c.addresses.Load()), Attempts: c.attempts, Desc: c.desc}
}
