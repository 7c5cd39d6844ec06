package transport

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/webrtc/internal/rawsctp"
	"github.com/protofly/protofly/sdk/p2p"
)

// A peer that fills the library's memory, with unread or unreadable data, loses its connection while that is still little.
func TestUnreadable(t *testing.T) {
	const chunks = 48      // in a packet
	const ahead = 32 << 10 // bytes: packets that are not read for long are lost
	for _, attack := range rawsctp.Attacks() {
		t.Run(attack.Name, func(t *testing.T) {
			c, end := meets(t, transportFor(t), p2p.Handler)
			<-end.stream
			victim := c.(*channel)
			r, err := rawsctp.New(end.pc)
			if err != nil {
				t.Fatal(err)
			}
			grown := heap(t)
			packet, next := make([][]byte, chunks), uint32(0)
			began, sent := time.Now(), victim.meter.authentic()
			for time.Since(began) < patience && victim.lives() {
				taken := victim.takes(sent - ahead)
				if had := victim.meter.authentic(); !taken || had > sent { // the rest is lost, or something else was counted too
					sent = had
				}
				for i := range packet {
					packet[i] = attack.Chunk(r, next)
					next++
					sent += int64(len(packet[i]))
				}
				if err := r.Write(packet...); err != nil {
					break
				}
			}
			broken(t, c, "")
			if n := grown(); n > maxGrowth {
				t.Errorf("%d MiB of %d chunks", n>>20, next)
			} else {
				t.Logf("%d chunks, %d MiB, %v: %v", next, n>>20, time.Since(began), victim.why)
			}
		})
	}
}

// takes waits until SCTP has received so many bytes, for some time, while the channel lives: packets may be lost.
func (c *channel) takes(bytes int64) bool {
	if c.meter.authentic() >= bytes {
		return true
	}
	tick, late := time.NewTicker(100*time.Microsecond), time.NewTimer(200*time.Millisecond)
	defer tick.Stop()
	defer late.Stop()
	for c.meter.authentic() < bytes {
		select {
		case <-tick.C:
		case <-late.C:
			return false
		case <-c.done:
			return false
		}
	}
	return true
}

func (c *channel) lives() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// heap measures the largest heap until grown is called.
func heap(t *testing.T) (grown func() int64) {
	before := int64(inUse().HeapAlloc)
	var most atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				var m runtime.MemStats
				runtime.GC() // one is enough, and three at a time are most of what the test costs
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), int64(m.HeapAlloc)))
			case <-stop:
				return
			}
		}
	}()
	end := sync.OnceFunc(func() { close(stop); <-done })
	t.Cleanup(end)
	return func() int64 {
		end()
		return most.Load() - before
	}
}
