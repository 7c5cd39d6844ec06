package quota

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func askerAt(address string) Asker {
	return Asker{From: Source{netip.MustParsePrefix(address + "/32")}}
}

// Addresses take turns, however many connections of one address wait.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		if err := turns.Take(t.Context(), Asker{Conn: 1}); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(name string, a Asker) {
			go func() {
				if turns.Take(t.Context(), a) == nil {
					order = append(order, name)
					turns.Give()
				}
			}()
			synctest.Wait()
		}
		for range 3 {
			wait("mallory", askerAt("192.0.2.1"))
		}
		wait("alice", askerAt("192.0.2.2"))
		wait("proxied", Asker{Conn: 2})
		wait("proxied too", Asker{Conn: 3})
		turns.Give()
		synctest.Wait()
		if want := []string{"mallory", "alice", "proxied", "proxied too", "mallory", "mallory"}; !slices.Equal(order, want) {
			t.Errorf("%q, want %q", order, want)
		}
		if turns.taken || len(turns.of) > 0 || turns.waiting.Len() > 0 {
			t.Errorf("left: %+v", turns.of)
		}
	})
}

// A request that stops waiting neither keeps a turn nor takes another's.
func TestTurnsAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		if err := turns.Take(t.Context(), Asker{Conn: 1}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var gone, got atomic.Int32
		for i := range 10 {
			go func() {
				c := t.Context()
				if i%2 == 0 {
					c = ctx
				}
				if turns.Take(c, Asker{Conn: uint64(i / 3)}) != nil {
					gone.Add(1)
					return
				}
				got.Add(1)
				turns.Give()
			}()
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		turns.Give()
		synctest.Wait()
		if gone.Load() != 5 || got.Load() != 5 || turns.taken || len(turns.of) > 0 || turns.waiting.Len() > 0 {
			t.Errorf("%d gone, %d got a turn, left %+v", gone.Load(), got.Load(), turns.of)
		}
	})
}
