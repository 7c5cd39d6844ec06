package transport

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/protofly/protofly/sdk/p2p"
)

// The memory of an idle connection: 100 connections between one transport and others, both ends measured, halved.
func BenchmarkIdle(b *testing.B) {
	const peers = 100
	for b.Loop() {
		var ends [1 + peers]*Transport
		for i := range ends {
			var err error
			if ends[i], err = open(p2p.Config{Options: json.RawMessage(`{"listen":"127.0.0.1:0"}`)}, usualLiveness()); err != nil {
				b.Fatal(err)
			}
		}
		before, routines := inUse(), runtime.NumGoroutine()
		for i := range peers {
			there, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
			together(b, ends[0], ends[1+i], there, back, wire{there, back})
		}
		after := inUse()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(2*peers), "heap-B/peer")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/(2*peers), "stack-B/peer")
		b.ReportMetric(float64(runtime.NumGoroutine()-routines)/(2*peers), "goroutines/peer")
		for _, t := range ends {
			if err := t.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func inUse() (m runtime.MemStats) {
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}
