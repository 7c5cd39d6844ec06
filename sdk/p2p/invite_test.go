package p2p

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/sdk/syncher"
)

// TestInvitedWhileStarting: an invitation that comes before the Handler runs waits for it, or for its end.
func TestInvitedWhileStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &instance{ready: make(chan struct{})}
		taken, ended := 0, false
		ctx, cancel := context.WithCancel(t.Context())
		go func() { i.invite(ctx, syncher.Invitation{}); ended = true }()
		go i.invite(t.Context(), syncher.Invitation{})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if taken != 0 || !ended {
			t.Errorf("%d taken before anybody takes them, ended with its context: %v", taken, ended)
		}
		i.onInvite(func(context.Context, syncher.Invitation) { taken++ })
		synctest.Wait()
		if taken != 1 {
			t.Errorf("%d invitations taken, want the one that has waited", taken)
		}
	})
}
