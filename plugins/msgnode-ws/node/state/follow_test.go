package state

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A copy that loses its source after it has followed it for long tries again soon, however often it had to try before.
func TestCopiesFollowAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var lost time.Time
		tries := 0
		follow(ctx, func() error {
			if pause := time.Since(lost); tries > 0 && (pause < 250*time.Millisecond || pause > 2*time.Second) || tries == 11 && pause > 500*time.Millisecond {
				t.Errorf("%d: it looks again after %v", tries, pause)
			}
			switch tries++; tries {
			case 11:
				time.Sleep(time.Hour)
			case 13:
				cancel()
			}
			lost = time.Now()
			return errors.New("lost")
		}, hclog.NewNullLogger())
	})
}
