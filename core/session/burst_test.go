package session

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// However many addresses a runtime posts from at once, each of them is known before its first message is delivered: also where
// who is told of them takes its time, and where a listener is behind.
func TestManyAddressesAtOnce(t *testing.T) {
	for name, slow := range map[string]func(*hearing) time.Duration{
		"at once": func(*hearing) time.Duration { return 0 },
		"slowly":  func(*hearing) time.Duration { return 100 * time.Millisecond },
		"late": func(h *hearing) time.Duration {
			if h.total() == 0 {
				return 10 * time.Second
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &hearing{known: map[message.URL]int{}}
				p := newPair(t, Options{TTL: -1, Acceptor: taking(h.deliver), Claims: Claims{Announced: func(ctx context.Context, remote message.URL, list []message.URL) {
					time.Sleep(slow(h))
					h.announced(ctx, remote, list)
				}}}, nil)
				const all = 10_000
				for n := range all {
					m := letter(uint64(n+1), 20)
					m.From = message.URL(fmt.Sprintf("hyperty://a.example/%d", n))
					m.To = message.URL(fmt.Sprintf("hyperty://b.example/%d", n%7))
					if err := p.a.Post(t.Context(), bob, direct, m); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				if got := p.end(false).out.Received(); got != all {
					t.Errorf("%d of %d messages came", got, all)
				}
				if len(h.strange) > 0 {
					t.Errorf("%d messages came before their addresses were announced, such as from %s", len(h.strange), h.strange[0])
				}
				p.close(t)
			})
		})
	}
}

func (h *hearing) total() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.known)
}
