package rig

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A program that cannot be built or started gives an error that names it.
func TestBroken(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var exit *exec.ExitError
	if _, err := Build(ctx, t.TempDir(), []string{"no-such-plug-in"}); !errors.As(err, &exit) {
		t.Errorf("a plug-in that does not exist: %v", err)
	}
}
