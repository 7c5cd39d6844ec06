package profile

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"runtime/pprof"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTake(t *testing.T) {
	for _, kind := range []Kind{CPU, Allocs, Heap} {
		data, err := Take(t.Context(), kind, 1)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if text, err := io.ReadAll(z); err != nil || !bytes.Contains(text, []byte("samples")) && !bytes.Contains(text, []byte("alloc_space")) {
			t.Errorf("%s: %d bytes, %v", kind, len(text), err)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		seconds int
	}{{CPU, 0}, {CPU, -1}, {CPU, MaxSeconds + 1}, {"", 1}, {"goroutine", 1}} {
		if _, err := Take(t.Context(), c.kind, c.seconds); err == nil {
			t.Errorf("%s over %d seconds was taken", c.kind, c.seconds)
		}
	}
}

// There is one CPU profile at a time; when a caller gives up, the next one can begin.
func TestOneAtATime(t *testing.T) {
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	_, err := Take(t.Context(), CPU, 1)
	pprof.StopCPUProfile()
	if err != ErrBusy {
		t.Errorf("a second one: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Take(gone, CPU, MaxSeconds); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := Take(t.Context(), CPU, 1); err != nil {
		t.Errorf("the next one: %v", err)
	}
}
