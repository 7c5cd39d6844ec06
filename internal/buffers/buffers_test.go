package buffers

import "testing"

func TestRoom(t *testing.T) {
	for _, size := range []int{0, 1, 1023, 1024, 1025, 60 << 10, 1 << 20, 2 << 20, 4<<20 - 1, 4 << 20, 4<<20 + 1} {
		for range 3 {
			b := Get(size)
			if cap(*b) < size || len(*b) != 0 || cap(*b) > max(2*size, 1<<smallest) {
				t.Fatalf("for %d bytes: room for %d, %d of them used", size, cap(*b), len(*b))
			}
			*b = append(*b, make([]byte, size+size/3)...) // it grows
			Put(b)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	Put(Get(4 << 10))
	if n := testing.AllocsPerRun(100, func() { Put(Get(4 << 10)) }); n > 0.5 { // the collector may empty the pool once
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGetPut(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		x := Get(64 << 10)
		*x = append(*x, 1)
		Put(x)
	}
}
