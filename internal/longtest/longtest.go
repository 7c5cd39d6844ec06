// Package longtest keeps go test ./... quick: tests that take long on purpose run only where they are asked for.
//
// Tests that only wait run side by side ([Parallel]). A test that takes long whatever is done is named TestLong..., so that
// -run ^TestLong picks them all, and its first statement is [Skip]. What it proves over a long time or for every transport, a
// quicker test proves over a short one or for one transport.
package longtest

import (
	"os"
	"testing"
)

// Variable is the environment variable that asks for the long tests. Any value but an empty one does. It does not begin with
// PROTOFLY_: runtimes that a test starts would take it for a key of their configuration, and refuse it.
const Variable = "LONG_TESTS"

// Skip ends a test that takes long, unless the long ones were asked for.
func Skip(t testing.TB) {
	t.Helper()
	if os.Getenv(Variable) == "" {
		t.Skip("takes long; runs with " + Variable + "=1")
	}
}
