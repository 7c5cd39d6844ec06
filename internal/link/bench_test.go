package link

import (
	"fmt"
	"testing"
)

// benchBatch is a batch of frames of one size: as many as fit in 64 KiB, or a single larger one.
func benchBatch(size int) (frames []Frame) {
	for range max(1, 64<<10/size) {
		frames = append(frames, Frame{Peer: "hyperty-runtime://example.com/ozdhw26b2qc5gyipq27yducjrsuvgyih", Payload: make([]byte, size)})
	}
	return frames
}

func eachSize(b *testing.B, run func(b *testing.B, frames []Frame)) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			frames := benchBatch(size)
			b.ReportAllocs()
			b.SetBytes(int64(len(frames) * size))
			run(b, frames)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(frames)), "ns/frame")
		})
	}
}

// BenchmarkEncode writes a batch of data frames.
func BenchmarkEncode(b *testing.B) {
	eachSize(b, func(b *testing.B, frames []Frame) {
		var batch []byte
		for b.Loop() {
			batch = batch[:0]
			for _, f := range frames {
				batch = appendFrame(batch, 3, 7, f)
			}
		}
	})
}

// BenchmarkDecode reads one.
func BenchmarkDecode(b *testing.B) {
	eachSize(b, func(b *testing.B, frames []Frame) {
		var batch []byte
		for _, f := range frames {
			batch = appendFrame(batch, 3, 7, f)
		}
		got := 0
		each := func(f *frame) error {
			got += len(f.payload)
			return nil
		}
		for b.Loop() {
			if err := parseBatch(batch, each); err != nil {
				b.Fatal(err)
			}
		}
		if got != b.N*len(frames)*len(frames[0].Payload) {
			b.Fatalf("%d bytes of payload in %d batches", got, b.N)
		}
	})
}
