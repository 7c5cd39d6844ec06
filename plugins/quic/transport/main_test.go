package transport

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/longtest"
)

// TestMain runs the tests, or, if a test has started this binary again, one end of a connection.
func TestMain(m *testing.M) {
	if role := os.Getenv("PROTOFLY_TEST_ROLE"); role != "" {
		os.Exit(runChild(role))
	}
	longtest.Parallel(32)
	goleak.VerifyTestMain(m)
}
