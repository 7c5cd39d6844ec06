package main

import (
	"testing"

	"github.com/protofly/protofly/internal/unitfile"
)

// The unit starts this program with flags that it has, and paths that the unit makes.
func TestUnit(t *testing.T) {
	u := unitfile.Read(t, "protofly-node.service")
	help, err := program(t, "run", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, help)
	}
	u.Fits(t, string(help))
	t.Run("verify", func(t *testing.T) { u.Verify(t, "protofly-node.service") })
}
