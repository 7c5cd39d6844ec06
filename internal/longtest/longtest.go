// Package longtest keeps go test ./... quick: tests that take long on purpose run only on request.
//
// Tests that only wait run in parallel ([Parallel]). A test that takes long in any case is named TestLong..., so that
// -run ^TestLong picks them all, and its first statement is [Skip]. For each of them there is a quicker test of the same
// property, over a shorter time or for one transport.
package longtest

import (
	"os"
	"testing"
	"time"
)

// Hung is how long a test waits for what has to come: less than a whole test may take, but so long that only a test that hangs
// waits for all of it, also on a busy machine. It is not a bound on what is tested.
const Hung = 5 * time.Minute

// Variable is the environment variable that requests the long tests, with any value that is not empty. It does not begin with
// PROTOFLY_, since runtimes that a test starts would refuse it as an unknown key of their configuration.
const Variable = "LONG_TESTS"

// Skip skips a test that takes long, unless [Variable] is set.
func Skip(t testing.TB) {
	t.Helper()
	if os.Getenv(Variable) == "" {
		t.Skip("takes long; runs with " + Variable + "=1")
	}
}
