package transport

import (
	"encoding/binary"
	"hash/crc32"
	"net"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/protofly/protofly/sdk/p2p"
)

// rawEnd writes packets of SCTP as a peer that does not keep to what the library would send.
type rawEnd struct {
	conn net.Conn // of DTLS
	tag  uint32
	tsn  uint32
}

// inside is a field of the library's, which has no other way to it.
func inside(v reflect.Value, name string) reflect.Value {
	f := v.Elem().FieldByName(name)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

func newRawEnd(t *testing.T, end *bareEnd) *rawEnd {
	t.Helper()
	transport := end.pc.SCTP()
	association := inside(reflect.ValueOf(transport), "sctpAssociation")
	if !inside(association, "useInterleaving").Bool() {
		t.Fatal("no interleaving")
	}
	inside(association, "lock").Addr().MethodByName("Lock").Call(nil)
	defer inside(association, "lock").Addr().MethodByName("Unlock").Call(nil)
	return &rawEnd{
		conn: inside(reflect.ValueOf(transport.Transport()), "conn").Interface().(net.Conn),
		tag:  uint32(inside(association, "peerVerificationTag").Uint()),
		tsn:  uint32(inside(association, "myNextTSN").Uint()),
	}
}

// Flags of a chunk of data.
const (
	lastFragment = 1 << iota
	firstFragment
	unordered
)

// data is a chunk of one byte, with the next number.
func (r *rawEnd) data(flags byte, stream uint16, message uint32) []byte {
	b := []byte{64, flags, 0, chunkOverhead + 1}
	b = binary.BigEndian.AppendUint32(b, r.tsn)
	b = binary.BigEndian.AppendUint16(b, stream)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, message)
	b = binary.BigEndian.AppendUint32(b, 53) // binary
	r.tsn++
	return append(b, 'x', 0, 0, 0)
}

// skip is a chunk that says that messages will not come.
func (r *rawEnd) skip(stream uint16, message uint32) []byte {
	b := []byte{194, 0, 0, 16}
	b = binary.BigEndian.AppendUint32(b, r.tsn)
	b = binary.BigEndian.AppendUint16(b, stream)
	b = append(b, 0, 0)
	r.tsn++
	return binary.BigEndian.AppendUint32(b, message)
}

// write sends a packet.
func (r *rawEnd) write(chunks ...[]byte) error {
	b := binary.BigEndian.AppendUint16(nil, 5000)
	b = binary.BigEndian.AppendUint16(b, 5000)
	b = binary.BigEndian.AppendUint32(b, r.tag)
	b = append(b, 0, 0, 0, 0)
	for _, c := range chunks {
		b = append(b, c...)
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	_, err := r.conn.Write(b)
	return err
}

// Whatever a peer has put into the memory of the library, it is little, and it ends the connection: where nobody reads, and
// where nothing could be read.
func TestUnreadable(t *testing.T) {
	const chunks = 48      // in a packet
	const ahead = 32 << 10 // bytes: what is not read for long is lost
	for name, attack := range map[string]func(r *rawEnd, i uint32) []byte{
		"messages that nobody reads":           func(r *rawEnd, i uint32) []byte { return r.data(firstFragment|lastFragment, 0, 1+i) },
		"messages behind one that never comes": func(r *rawEnd, i uint32) []byte { return r.data(firstFragment|lastFragment, 0, 1<<20+i) },
		"messages that are never whole":        func(r *rawEnd, i uint32) []byte { return r.data(firstFragment, 0, 1<<20+i) },
		"unordered ones":                       func(r *rawEnd, i uint32) []byte { return r.data(firstFragment|unordered, 0, 1<<20+i) },
		"of other streams":                     func(r *rawEnd, i uint32) []byte { return r.data(firstFragment, 2+2*uint16(i%16), i/16) },
		"whole, of other streams":              func(r *rawEnd, i uint32) []byte { return r.data(firstFragment|lastFragment, 2+2*uint16(i%16), i/16) },
		"messages that are skipped":            func(r *rawEnd, i uint32) []byte { return r.skip(0, 1+i) },
	} {
		t.Run(name, func(t *testing.T) {
			c, end := meets(t, transportFor(t), p2p.Handler)
			<-end.stream
			victim, r := c.(*channel), newRawEnd(t, end)
			grown := heap(t)
			packet, next := make([][]byte, chunks), uint32(0)
			began, sent := time.Now(), victim.meter.authentic()
			for time.Since(began) < patience && victim.lives() {
				taken := victim.takes(sent - ahead)
				if had := victim.meter.authentic(); !taken || had > sent { // the rest is lost, or there is more than this test sends
					sent = had
				}
				for i := range packet {
					packet[i] = attack(r, next)
					next++
					sent += int64(len(packet[i]))
				}
				if err := r.write(packet...); err != nil {
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

// takes waits until SCTP has had so many bytes, as long as the channel lives; not for ever: some may be lost.
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
