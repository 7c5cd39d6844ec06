package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A runtime that has started again speaks by the relay, while the other side holds its direct path to the life before for live. What it
// says is answered the way that it came, and does not wait until that path is given up.
func TestRestartedRuntimeIsAnsweredTheWayItCame(t *testing.T) {
	for name, ofA := range map[string]bool{"the one that begins handshakes": true, "the other one": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead := false
				p := newPair(t, Options{}, nil)
				p.hook = func(_ bool, path Path, frame []byte) [][]byte {
					if dead && path == direct {
						return nil
					}
					return [][]byte{frame}
				}
				defer p.close(t)
				p.post(t, direct, 1, 1)
				time.Sleep(time.Minute)
				p.sync(func() { dead = true })
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				again, remote := &p.b, alice
				if ofA {
					again, remote = &p.a, bob
				}
				p.restart(again, ended)
				m := letter(2, 40)
				if !ofA {
					m.From, m.To = m.To, m.From
				}
				if err := (*again).Post(t.Context(), remote, relay, m); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				for (*again).Snapshot()[0].Outstanding > 0 && time.Since(began) < time.Minute {
					time.Sleep(time.Millisecond)
				}
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("the first message after the restart took %v", took)
				}
				other := p.a
				if ofA {
					other = p.b
				}
				if st := other.Snapshot(); st[0].Path != relay || st[0].Resets != 1 {
					t.Errorf("the other side is at %+v", st[0])
				}
			})
		})
	}
}
