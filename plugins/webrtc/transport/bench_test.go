package transport

import (
	"testing"

	"github.com/protofly/protofly/sdk/sdktest/transporttest"
)

func BenchmarkChannel(b *testing.B) {
	transporttest.Benchmark(b, transporttest.Suite{New: New})
}
