//go:build unix

package api

import (
	"syscall"
	"testing"
)

// measure begins to measure the CPU time of this process; what it returns reports how much that was for each operation.
func measure() func(b *testing.B) {
	now := func() int64 {
		var u syscall.Rusage
		if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
			return 0
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	began := now()
	return func(b *testing.B) { b.ReportMetric(float64(now()-began)/float64(b.N), "cpu-ns/op") }
}
