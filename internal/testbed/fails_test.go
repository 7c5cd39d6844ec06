package testbed

import (
	"context"
	"errors"
	"os"
	"testing"
)

// If a bed cannot be made, the error says why, and nothing is left.
func TestOpenSaysWhyItFails(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	if bed, err := Open(ended, Options{}); bed != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", bed, err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
