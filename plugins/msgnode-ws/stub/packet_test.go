package stub

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk"
)

// sink is a door to a core that takes everything.
type sink struct{ frames, bytes, largest int }

func (s *sink) Recv(context.Context) ([]sdk.Frame, error) { return nil, nil }
func (s *sink) Close() error                              { return nil }

func (s *sink) Send(_ context.Context, frames ...sdk.Frame) error {
	s.largest = max(s.largest, len(frames))
	for _, f := range frames {
		s.frames++
		s.bytes += len(f.Payload)
	}
	return nil
}

// A packet of payloads with no byte or one, which a remote runtime can send through any node, costs the plug-in no more memory
// than its length, and everything in it arrives.
func TestPacketOfTinyPayloads(t *testing.T) {
	for _, size := range []int{0, 1} {
		const peer = "hyperty-runtime://example.com/eve"
		count := (wire.MaxFrame - 100) / (1 + size)
		body := append(binary.AppendUvarint(nil, uint64(len(peer))), peer...)
		for range count {
			body = append(body, byte(size))
			body = append(body, make([]byte, size)...)
		}
		packet := wire.Append(nil, wire.KindData, body)
		door := &sink{}
		i := &instance{door: door}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := i.frames(context.Background(), packet)
		runtime.ReadMemStats(&after)
		if err != nil || door.frames != count || door.bytes != count*size {
			t.Fatalf("%d of %d payloads, %d bytes: %v", door.frames, count, door.bytes, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(len(packet)) {
			t.Errorf("a packet of %d bytes costs %d", len(packet), cost)
		}
		if door.largest > handOver {
			t.Errorf("%d frames at once", door.largest)
		}
	}
}
