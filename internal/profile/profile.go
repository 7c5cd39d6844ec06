// Package profile takes profiles of the CPU time and the memory of this process, in the format that
// "go tool pprof" reads. A profile has names of functions, addresses and counts, and no contents of messages.
package profile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"time"
)

// Kind is what a profile measures.
type Kind string

// The kinds.
const (
	CPU    Kind = "cpu"    // where CPU time is spent during the next seconds
	Allocs Kind = "allocs" // what was allocated since the process started
	Heap   Kind = "heap"   // what is in use now
)

// Limits of a profile.
const (
	MaxSeconds = 60       // of a CPU profile; it has at least one
	MaxSize    = 16 << 20 // bytes
	ChunkSize  = 1 << 20  // bytes that a plug-in sends in one piece
)

// ErrBusy says that a CPU profile of the process is being taken: there can be one at a time.
var ErrBusy = errors.New("a CPU profile of this process is being taken already: try again when it is over")

// ErrTooLarge says that a profile has more than [MaxSize] bytes.
var ErrTooLarge = fmt.Errorf("the profile is larger than %d bytes", MaxSize)

// Check returns nil if a profile can be taken with these arguments. seconds is the length of a CPU profile, 1 to [MaxSeconds]; the
// other kinds ignore it.
func Check(kind Kind, seconds int) error {
	switch kind {
	case CPU:
		if seconds < 1 || seconds > MaxSeconds {
			return fmt.Errorf("a CPU profile over %d seconds: want 1 to %d", seconds, MaxSeconds)
		}
	case Allocs, Heap:
	default:
		return fmt.Errorf("profile %q: want %s, %s or %s", kind, CPU, Allocs, Heap)
	}
	return nil
}

// Take takes a profile of this process. A CPU profile takes the given seconds; if ctx ends before, the error is
// ctx's. The other kinds collect garbage first, so that they are up to date. Other errors are [ErrBusy], [ErrTooLarge],
// and those of [Check].
func Take(ctx context.Context, kind Kind, seconds int) ([]byte, error) {
	if err := Check(kind, seconds); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if kind == CPU {
		if err := cpu(ctx, &out, time.Duration(seconds)*time.Second); err != nil {
			return nil, err
		}
	} else {
		runtime.GC()
		if err := pprof.Lookup(string(kind)).WriteTo(&out, 0); err != nil {
			return nil, fmt.Errorf("profile %s: %w", kind, err)
		}
	}
	if out.Len() > MaxSize {
		return nil, ErrTooLarge
	}
	return out.Bytes(), nil
}

func cpu(ctx context.Context, out *bytes.Buffer, length time.Duration) error {
	if pprof.StartCPUProfile(out) != nil { // it fails only if a CPU profile is being taken
		return ErrBusy
	}
	defer pprof.StopCPUProfile()
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
