package p2p

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	signsOfLife = 3  // that this side sends in the time after which the other takes it for dead
	looks       = 12 // how often it is checked in that time whether the peer is dead

	goodbyeTime = 200 * time.Millisecond // for the mark of a closed channel
)

// keepAlive shows the other side of a [StreamChannel] that this one lives, and gives the connection up when the other one is
// dead. The silence is counted while somebody waits for the peer, so that a receiver that is slow does not make its peer dead.
type keepAlive struct {
	since atomic.Int64 // when the Recv that waits began to, in nanoseconds since began; 0: none waits
	began time.Time
	dead  atomic.Pointer[error] // why the connection was given up

	end  chan struct{}
	work sync.WaitGroup
}

func (k *keepAlive) start(c *StreamChannel) {
	k.began, k.end = time.Now(), make(chan struct{})
	// Two goroutines: a sign of life blocks while the peer takes nothing, and a peer that takes nothing may be dead.
	k.work.Go(func() { k.every(c.o.Silence/signsOfLife, func() bool { c.mark(markLife); return true }) })
	k.work.Go(func() { k.every(c.o.Silence/looks, func() bool { return k.look(c) }) })
}

// stop waits for the goroutines.
func (k *keepAlive) stop() {
	if k.end != nil {
		close(k.end)
		k.work.Wait()
	}
}

// goodbye tells the other side that this one closes the channel.
func (c *StreamChannel) goodbye() {
	_ = c.conn.SetWriteDeadline(time.Now().Add(goodbyeTime))
	c.mark(markClosed)
}

// waiting notes that a Recv begins to wait for the peer, or has ended to.
func (k *keepAlive) waiting(yes bool) {
	if k.end == nil {
		return
	}
	var since int64
	if yes {
		since = max(int64(time.Since(k.began)), 1)
	}
	k.since.Store(since)
}

// every calls f after each pause, until f returns false or the channel is closed.
func (k *keepAlive) every(pause time.Duration, f func() bool) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-k.end:
			return
		}
		if !f() {
			return
		}
	}
}

// look gives the connection up and returns false if the peer is dead.
func (k *keepAlive) look(c *StreamChannel) bool {
	since := k.since.Load()
	if since == 0 || time.Since(k.began)-time.Duration(since) < c.o.Silence {
		return true
	}
	err := fmt.Errorf("%s: the peer is dead: nothing came for %v", c.o.Name, c.o.Silence)
	k.dead.Store(&err)
	c.abort(err)
	return false
}

// mark writes a mark, unless a Send is under way. That shows life too.
func (c *StreamChannel) mark(m uint32) {
	if !c.writing.TryLock() {
		return
	}
	defer c.writing.Unlock()
	if len(c.backlog) > 0 {
		return // in the middle of a frame
	}
	b := mark(m)
	if n, err := c.conn.Write(b); err != nil {
		c.backlog = append(c.backlog, b[n:]...)
	}
}
