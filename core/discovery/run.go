package discovery

import (
	"context"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Start begins to listen. It ends with the group of [Options].Go.
func (d *Discovery) Start() {
	d.o.Go(func(ctx context.Context) {
		defer d.o.Bus.Listen(d.url, d.receive)()
		d.run(ctx)
	})
}

// run does what is due, until ctx ends.
func (d *Discovery) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(d.turn(time.Now()))
		select {
		case <-d.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// turn does what is due now, and returns how long nothing is.
func (d *Discovery) turn(now time.Time) (pause time.Duration) {
	d.mu.Lock()
	due := d.watching.Due(now, maxReads-d.reads)
	d.reads += len(due)
	left := d.watching.Expire(now)
	d.watched.Store(int32(d.watching.Len()))
	if d.peers.Tick(now) {
		d.tellEvents()
	}
	for _, p := range d.polls.expired(now) {
		d.answer(p)
	}
	missing := d.missing(now)
	pause = d.idle(now)
	d.mu.Unlock()
	d.subscribe(left)
	for _, u := range due {
		d.o.Go(func(ctx context.Context) { d.read(ctx, u) })
	}
	d.look(missing)
	return pause
}

// idle is how long nothing is due. It is called with the lock.
func (d *Discovery) idle(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	sooner := func(at time.Time, ok bool) {
		if ok && at.Before(next) {
			next = at
		}
	}
	if d.reads < maxReads { // else the end of one is next
		sooner(d.watching.Next())
	}
	sooner(d.peers.Next())
	sooner(d.polls.next())
	sooner(now.Add(lease), d.watching.Len() > 0)
	sooner(now.Add(lookPause), d.polls.events() > 0)
	return max(next.Sub(now), time.Millisecond)
}

// read reads the presence of an address.
func (d *Discovery) read(ctx context.Context, u message.URL) {
	found := d.o.Registry.Presence(ctx, u)
	d.mu.Lock()
	d.reads--
	if d.watching.Took(time.Now(), u, found) {
		for _, p := range d.polls.of(u) {
			d.answer(p)
		}
	}
	d.mu.Unlock()
	d.poke()
}

// missing are the runtimes of which it is to be looked now whether they answer again: while somebody asks for events. It is called with
// the lock.
func (d *Discovery) missing(now time.Time) map[message.URL]time.Time {
	if d.polls.events() == 0 || now.Sub(d.looked) < lookPause {
		return nil
	}
	d.looked = now
	return d.peers.Missing()
}

// look notes which of the runtimes were heard of since.
func (d *Discovery) look(missing map[message.URL]time.Time) {
	for remote, since := range missing {
		if at, direct, ok := d.o.Heard(remote); ok && at.After(since) {
			d.event(func(now time.Time) bool { return d.peers.Reached(now, remote, direct) })
		}
	}
}
