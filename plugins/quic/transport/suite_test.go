package transport

import (
	"testing"

	"github.com/protofly/protofly/sdk/sdktest/transporttest"
)

// What every transport must do.
func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Suite{New: New})
}
