package handshake

import (
	"fmt"
	"testing"

	"github.com/protofly/protofly/core/session/internal/wire"
)

// eachSize runs a benchmark with frames of each size, in bytes of what is sealed.
func eachSize(b *testing.B, run func(b *testing.B, keys *outKey, text []byte)) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			run(b, &outKey{}, make([]byte, size))
		})
	}
}

// BenchmarkSeal makes a frame's head and seals it with a text that is in place.
func BenchmarkSeal(b *testing.B) {
	eachSize(b, func(b *testing.B, keys *outKey, text []byte) {
		frame := append(wire.AppendHead(nil, wire.Head{Kind: wire.Data, From: 1, To: 2}), text...)
		for b.Loop() {
			h := wire.Head{Kind: wire.Data, From: 1, To: 2}
			aead := keys.Stamp(&h, Limits{1 << 20, 1 << 30}, len(text))
			wire.AppendHead(frame[:0], h)
			frame = Seal(aead, frame[:wire.SealedHead+len(text)])
		}
	})
}

// BenchmarkOpen opens such a frame; that it is copied first is in the figure, because it is opened in place.
func BenchmarkOpen(b *testing.B) {
	eachSize(b, func(b *testing.B, keys *outKey, text []byte) {
		h := wire.Head{Kind: wire.Data, From: 1, To: 2}
		aead := keys.Stamp(&h, Limits{1 << 20, 1 << 30}, len(text))
		sealed := Seal(aead, append(wire.AppendHead(nil, h), text...))
		frame := make([]byte, len(sealed))
		for b.Loop() {
			copy(frame, sealed)
			if _, err := wire.ParseHead(frame); err != nil {
				b.Fatal(err)
			}
			if _, err := Unseal(aead, frame); err != nil {
				b.Fatal(err)
			}
		}
	})
}
