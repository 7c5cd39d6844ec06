package transport

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/sdktest/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What every transport must do.
func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Suite{New: New})
}
