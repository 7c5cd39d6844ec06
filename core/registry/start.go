package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Start starts the Registry: its loop, and its listeners on the bus for its own address and for the status of this
// runtime's Handlers.
func (r *Registry) Start() {
	r.stubs.receive = r.receiveStatus
	r.loop.Start()
	r.loop.Go(r.notify)
	r.loop.Go(r.publish)
	r.stops = append(r.stops, r.call.Listen(r.url, r.receive))
	for _, h := range r.opts.Handlers {
		r.AddStub(Stub{URL: h.URL, Role: sdk.RoleHandler, Plugin: h.Name})
	}
	r.loop.Do(func() {
		r.loop.After(r.refreshPause(), r.refresh)
		r.loop.After(r.directory.SweepPause(), r.sweep)
		r.loop.After(r.opts.Nodes.Idle, r.dropIdleNodes)
	})
}

// notify calls PathChanged for each runtime whose best way has changed, with that way.
func (r *Registry) notify(ctx context.Context) {
	for {
		select {
		case <-r.notices.wake:
		case <-ctx.Done():
			return
		}
		for _, url := range r.notices.take() {
			if ctx.Err() != nil {
				return
			}
			route, err := r.RouteTo(url)
			if err != nil {
				route = bus.Route{}
			}
			r.opts.PathChanged(url, route)
		}
	}
}

// sweep drops what has expired, in a part of the tables each time. It runs in the loop.
func (r *Registry) sweep() {
	now := time.Now()
	r.directory.Sweep(now, func(rt *directory.Runtime) bool {
		gone := r.peers.Drop(now, rt.URL(), r.opts.Cache.CacheTime)
		if gone {
			r.unfollow(rt.URL())
		}
		return gone
	})
	r.loop.After(r.directory.SweepPause(), r.sweep)
}

// Close tells the Domain Registry that this runtime's entries are gone (for 2 s at most), ends everything that the Registry
// runs, and waits for it until ctx ends. It does not undeploy stubs: their deployer does.
func (r *Registry) Close(ctx context.Context) error {
	if !r.loop.Closed() {
		r.releaseAll(ctx)
	}
	r.loop.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.loop.Wait()
		for _, stop := range r.listeners() {
			stop()
		}
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("registry: close: still waiting for a bus, a stub or a node: %w", ctx.Err())
	}
}

// listeners returns the functions that end all listeners of the Registry. It is called when the loop has ended.
func (r *Registry) listeners() []func() {
	stops := r.stops
	r.stubs.each(func(s *stub) { stops = append(stops, s.stop) })
	for _, all := range []map[message.URL]func(){r.doors, r.forwards} {
		for _, stop := range all {
			stops = append(stops, stop)
		}
	}
	for _, f := range r.following.by {
		stops = append(stops, f.stop)
	}
	return stops
}
