package throttle

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottle(t *testing.T) {
	for name, c := range map[string]struct {
		takes   time.Duration // the duration of a turn
		n       int
		turns   int
		usually time.Duration // the duration of all turns
	}{
		"a few":                    {time.Millisecond, 1, 150, 150 * time.Millisecond},
		"many":                     {time.Millisecond, 1, 1200, share * (1200*time.Millisecond - burst)},
		"many that take nothing":   {0, 1, 30_000, share * (30_000*MessageCost - burst)},
		"who wait for others":      {time.Second, 1, 100, 100 * time.Second},
		"many frames in each turn": {100 * time.Millisecond, 100, 12, share * (1200*time.Millisecond - burst)},
	} {
		synctest.Test(t, func(t *testing.T) {
			var own Throttle
			began := time.Now()
			for range c.turns {
				began := time.Now()
				time.Sleep(c.takes)
				own.Pause(t.Context(), began, c.n, MessageCost)
			}
			if took := time.Since(began); took < c.usually*9/10 || took > c.usually*11/10 {
				t.Errorf("%s: took %v, not %v", name, took, c.usually)
			}
		})
	}
}
