package session

import (
	"fmt"
	"testing"
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
	o := Options{}.withDefaults()
	eachSize(b, func(b *testing.B, keys *outKey, text []byte) {
		frame := append(appendHead(nil, head{kind: data, from: 1, to: 2}), text...)
		for b.Loop() {
			h := head{kind: data, from: 1, to: 2}
			aead := keys.stamp(&h, &o, len(text))
			appendHead(frame[:0], h)
			frame = seal(aead, frame[:sealedHead+len(text)])
		}
	})
}

// BenchmarkOpen opens such a frame; that it is copied first is in the figure, because it is opened in place.
func BenchmarkOpen(b *testing.B) {
	o := Options{}.withDefaults()
	eachSize(b, func(b *testing.B, keys *outKey, text []byte) {
		h := head{kind: data, from: 1, to: 2}
		aead := keys.stamp(&h, &o, len(text))
		sealed := seal(aead, append(appendHead(nil, h), text...))
		frame := make([]byte, len(sealed))
		for b.Loop() {
			copy(frame, sealed)
			if _, err := parseHead(frame); err != nil {
				b.Fatal(err)
			}
			if _, err := unseal(aead, frame); err != nil {
				b.Fatal(err)
			}
		}
	})
}
