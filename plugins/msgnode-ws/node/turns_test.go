package node

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

func askerAt(address string) asker {
	return asker{from: source{netip.MustParsePrefix(address + "/32")}}
}

// Addresses have turns one after the other, however many connections of one wait.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		if err := turns.take(t.Context(), asker{conn: 1}); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(name string, a asker) {
			go func() {
				if turns.take(t.Context(), a) == nil {
					order = append(order, name)
					turns.give()
				}
			}()
			synctest.Wait()
		}
		for range 3 {
			wait("mallory", askerAt("192.0.2.1"))
		}
		wait("alice", askerAt("192.0.2.2"))
		wait("proxied", asker{conn: 2})
		wait("proxied too", asker{conn: 3})
		turns.give()
		synctest.Wait()
		if want := []string{"mallory", "alice", "proxied", "proxied too", "mallory", "mallory"}; !slices.Equal(order, want) {
			t.Errorf("%q, want %q", order, want)
		}
		if turns.taken || len(turns.of) > 0 || turns.waiting.Len() > 0 {
			t.Errorf("left: %+v", turns.of)
		}
	})
}

// Who ends waiting neither keeps a turn nor takes another's.
func TestTurnsAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		if err := turns.take(t.Context(), asker{conn: 1}); err != nil {
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
				if turns.take(c, asker{conn: uint64(i / 3)}) != nil {
					gone.Add(1)
					return
				}
				got.Add(1)
				turns.give()
			}()
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		turns.give()
		synctest.Wait()
		if gone.Load() != 5 || got.Load() != 5 || turns.taken || len(turns.of) > 0 || turns.waiting.Len() > 0 {
			t.Errorf("%d gone, %d got a turn, left %+v", gone.Load(), got.Load(), turns.of)
		}
	})
}

// Who is refused, and read slowly for it, does not keep the turn meanwhile.
func TestRefusedHaveNoTurn(t *testing.T) {
	n, mallory := still(binary)
	ctx, cancel := context.WithCancel(t.Context())
	mallory.ctx = ctx
	if err := mallory.begin(); err != nil {
		t.Fatal(err)
	}
	r := tryAgain(time.Second, "too many")
	r.pause = time.Hour
	read := make(chan struct{})
	go func() {
		defer close(read)
		n.refuse(mallory, message.Message{Type: message.Response}, r)
	}()
	waiting, late := context.WithTimeout(t.Context(), time.Minute)
	defer late()
	if err := n.turns.take(waiting, askerAt("192.0.2.2")); err != nil {
		t.Errorf("another one's turn: %v", err)
	}
	cancel()
	<-read
}
