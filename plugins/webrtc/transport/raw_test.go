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

// Whatever a peer has put into the memory of the library, it is little, and it ends the connection: where nobody reads, and
// where nothing could be read.
func TestUnreadable(t *testing.T) {
	const chunks = 48 // in a packet
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
			began := time.Now()
			for ended := false; !ended; {
				for i := range packet {
					packet[i] = attack.Chunk(r, next)
					next++
				}
				before := victim.meter.counted()
				if err := r.Write(packet...); err != nil {
					break
				}
				for sent := time.Now(); victim.meter.counted() == before && time.Since(sent) < time.Millisecond; {
					runtime.Gosched() // the socket's buffer is small
				}
				select {
				case <-victim.done:
					ended = true
				default:
					ended = time.Since(began) > patience
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

func (m *meter) counted() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.plain
}

// heap is the largest heap that is seen until stop.
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
				most.Store(max(most.Load(), int64(inUse().HeapAlloc)))
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
