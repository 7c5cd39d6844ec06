package p2p

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// mayFollow is the specification's figure of a P2P connection's states. A new connection may begin after an end, and
// at a Handler also in place of another; "" is before the first.
var mayFollow = map[string]string{
	"created":      " disconnected failed live in-progress created",
	"in-progress":  "created disconnected failed",
	"live":         "in-progress",
	"disconnected": "live",
	"failed":       "created in-progress",
}

// TestRandomLife: whatever happens in whatever order, the statuses follow the figure, and nothing is left behind.
func TestRandomLife(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) { randomLife(t, uint64(seed)) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomLife(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	pause := func() {
		if random.IntN(3) > 0 {
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		}
	}
	b := newBed(t, func(b *bed) {
		b.ta.candidates, b.ta.every, b.tb.expects = 2, 30*time.Millisecond, 1
		b.tb.candidates, b.tb.every, b.ta.expects = 2, 30*time.Millisecond, 2
	})
	b.request()
	door := 0
	for range 30 {
		switch random.IntN(9) {
		case 0:
			b.command(aliceRequester, message.Execute, execute("disconnect", bob))
		case 1:
			b.command(bobHandler, message.Execute, execute("disconnect", alice))
		case 2:
			if c := b.ta.last(); c != nil {
				c.kill()
			}
		case 3:
			b.mu.Lock()
			b.consent = func(message.URL) int { return []int{200, 200, 200, 409, 0}[seed%5] }
			b.mu.Unlock()
		case 4: // the requesting runtime starts again
			b.a.stop()
			b.a = b.start(Stub(b.ta.new), requesterStart(aliceRequester))
		case 5:
			door++
			b.subscribe(bobHandler.Join(strings.Repeat("x", door)))
		default:
			b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		}
		pause()
	}
	b.mu.Lock()
	b.consent = func(message.URL) int { return 200 }
	b.mu.Unlock()
	b.command(aliceRequester, message.Execute, execute("disconnect", bob))
	time.Sleep(time.Minute)
	b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
	time.Sleep(time.Second)
	for _, stub := range []message.URL{aliceRequester, bobHandler} {
		b.mu.Lock()
		posted := append([]string(nil), b.statuses[stub]...)
		b.mu.Unlock()
		before := ""
		for _, s := range posted {
			if s, _, _ = strings.Cut(s, ":"); s == "created (refused)" {
				continue // it has changed nothing
			}
			again := stub == aliceRequester && s == "failed" && (before == "disconnected" || before == "failed") // told to connect
			if !again && !strings.Contains(" "+mayFollow[s]+" ", " "+before+" ") {
				t.Errorf("%s: %s after %s: %s", stub, s, before, b.statusesOf(stub))
			}
			before = s
		}
		if before != "live" {
			t.Errorf("%s is %s in the end: %s", stub, before, b.statusesOf(stub))
		}
	}
	b.wantObjects(2)
	b.stopAll()
}
