package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Two runtimes that speak by two relays: each of them carries only so many frames for who is not answered on it.
func TestTwoRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := Path{Door: "other", Stub: "other"}
		type way struct {
			fromA bool
			path  Path
		}
		left, lost, acks := map[way]int{}, 0, map[way]int{}
		got := 0
		o := Options{Acks: Acks{Delay: 20 * time.Millisecond}, FrameBytes: 256, Acceptor: taking(func(context.Context, message.URL, message.Message) { got++ })}
		p := newPair(t, o, func(fromA bool, path Path, f []byte) [][]byte {
			there, back := way{fromA, path}, way{!fromA, path}
			if _, known := left[there]; !known {
				left[there] = 64
			}
			if left[there] == 0 {
				lost++
				return nil
			}
			left[there]--
			if _, known := left[back]; known {
				left[back] += 64
			}
			if h, err := wire.ParseHead(f); err == nil && h.Kind == wire.Ack {
				acks[there]++
			}
			return [][]byte{f}
		})
		const each = 2000
		for n := range uint64(each) {
			for _, side := range []struct {
				from *Sessions
				to   message.URL
				path Path
			}{{p.a, bob, relay}, {p.b, alice, other}} {
				if err := side.from.Post(t.Context(), side.to, side.path, letter(n+1, 200)); err != nil {
					t.Fatal(err)
				}
			}
			if n%50 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		end := p.end(false) // what b has sent is acknowledged too
		end.lock()
		if unacked := end.m.send.Unacked(); got != each || unacked > 0 || lost > 0 {
			t.Errorf("%d of %d messages arrived, %d of the others are not acknowledged, %d frames were lost", got, each, unacked, lost)
		}
		end.unlock()
		for w, n := range acks {
			if n > 2*each/32+200 {
				t.Errorf("%v: %d acknowledgements", w, n)
			}
		}
		all := func() (n int) {
			for _, one := range acks {
				n += one
			}
			return n
		}
		before := all()
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := all(); after != before {
			t.Errorf("acknowledgements answer each other: %d more", after-before)
		}
		p.close(t)
	})
}
