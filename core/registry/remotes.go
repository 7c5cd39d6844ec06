package registry

import (
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// learn enters an address of a remote runtime. It tells whether the address is now known as that runtime's. It runs in the
// loop.
func (r *Registry) learn(rt *directory.Runtime, url message.URL, from directory.Source) bool {
	key := directory.Key(url)
	switch r.directory.Learn(rt, key, from, time.Now()) {
	case directory.Refused:
		return false
	case directory.Entered:
		r.moved(key)
		r.opts.Trace.Emit(trace.Event{Kind: trace.Learned, To: key, Peer: rt.URL()})
	case directory.Joined:
		r.sayJoined(rt, key)
	}
	return true
}

// moved reports that another runtime may have an address now, or none.
func (r *Registry) moved(key message.URL) {
	if r.opts.Moved != nil {
		r.opts.Moved(key)
	}
}

// join enters an address into the entry of the live connection that carries messages to it for the first time. It does not
// wait: if the loop's queue is full, the next message to the address tries again.
func (r *Registry) join(key message.URL) {
	r.loop.TryDo(func() {
		if rt, joined := r.directory.Join(key); joined {
			r.sayJoined(rt, key)
		}
	})
}

func (r *Registry) sayJoined(rt *directory.Runtime, key message.URL) {
	r.opts.Trace.Emit(trace.Event{Kind: trace.Learned, To: key, Peer: rt.URL(), Via: rt.Way().Direct.Door})
}

// refreshWay updates a remote runtime's [directory.Way] from its connection, and notes a change for PathChanged. It runs in
// the loop.
func (r *Registry) refreshWay(remote message.URL) {
	if rt, ok := r.directory.Runtime(remote); ok && rt.SetWay(r.peers.Way(remote)) {
		r.notices.add(remote)
	}
}

// Remote returns the remote runtime that an address is known to belong to; "" if it is not known here. It asks no Domain
// Registry.
func (r *Registry) Remote(u message.URL) message.URL {
	if u.IsRuntime() {
		return u.Runtime()
	}
	if a, ok := r.directory.Find(directory.Key(u)); ok {
		return a.Runtime.URL()
	}
	return ""
}
