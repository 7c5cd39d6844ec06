package transport

import (
	"testing"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/sdktest/transporttest"
)

// What every transport must do.
func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Suite{New: New, Hasty: openHasty, Dead: 8 * time.Second})
}

// A dead peer is noticed in time by the transport that is in use.
func TestLongDeadPeer(t *testing.T) {
	longtest.Skip(t)
	transporttest.DeadPeer(t, transporttest.Suite{New: New})
}

// hasty makes death noticed soon, but not so soon that a busy machine's delays count as death.
func hasty() liveness { return liveness{keepAlive: time.Second, silence: 3 * time.Second} }

func openHasty(c p2p.Config) (p2p.Transport, error) { return openTransport(c, hasty()) }
