package transport

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/sdktest/transporttest"
)

func TestMain(m *testing.M) {
	longtest.Parallel(32)
	goleak.VerifyTestMain(m)
}

// What every transport must do.
func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Suite{New: New, Hasty: openHasty, Dead: 8 * time.Second})
}

// A dead peer is noticed in time by the transport that is in use.
func TestLongDeadPeer(t *testing.T) {
	longtest.Skip(t)
	transporttest.DeadPeer(t, transporttest.Suite{New: New})
}

// openHasty opens a transport that notices death soon, but not so soon that a busy machine's delays count as death.
func openHasty(c p2p.Config) (p2p.Transport, error) {
	return open(c, liveness{disconnected: 1500 * time.Millisecond, failed: 1500 * time.Millisecond, consent: 500 * time.Millisecond})
}
