package registry

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// keysOf are n addresses, some of them too long to be in their items.
func keysOf(n int) []message.URL {
	keys := make([]message.URL, n)
	for i := range keys {
		keys[i] = someone(i)
		if i%5 == 0 {
			keys[i] += message.URL(strings.Repeat("x", i%200))
		}
	}
	return keys
}

func TestTableAgainstAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	table, model := newTable[int](), map[message.URL]int{}
	keys := append(keysOf(20_000), "")
	for step := range 300_000 {
		shrinking := step/30_000%3 == 1
		u := keys[random.IntN(len(keys))]
		switch {
		case random.IntN(3) > 0 && !shrinking || random.IntN(50) == 0:
			table.set(u, step)
			model[u] = step
		default:
			table.delete(u)
			delete(model, u)
		}
		if step%10_000 == 0 || step == 299_999 {
			compare(t, table, model, keys)
		}
	}
	for _, u := range keys {
		table.delete(u)
	}
	if table.len() != 0 {
		t.Errorf("%d items are left", table.len())
	}
	for i := range table.shards {
		if table.shards[i].index.Load() != nil {
			t.Fatal("an empty shard keeps its memory")
		}
	}
}

// The empty address is not taken for a long one, whose item has no text either.
func TestTableTellsEmptyFromLong(t *testing.T) {
	long, empty := newItem(message.URL(strings.Repeat("x", maxText+1)), 1), newItem(message.URL(""), 2)
	if long.is("") || !empty.is("") || empty.is(long.key()) || !long.is(long.key()) {
		t.Error("taken for one another")
	}
}

func compare(t *testing.T, table *table[int], model map[message.URL]int, keys []message.URL) {
	t.Helper()
	if table.len() != len(model) {
		t.Fatalf("%d items, want %d", table.len(), len(model))
	}
	for _, u := range keys {
		got, ok := table.get(u)
		want, known := model[u]
		if got != want || ok != known {
			t.Fatalf("%q: %v %v, want %v %v", u, got, ok, want, known)
		}
	}
	seen := map[message.URL]int{}
	table.each(0, shardCount, func(in *item[int]) bool {
		seen[in.key()] = in.value
		return true
	})
	if len(seen) != len(model) {
		t.Fatalf("each: %d items, want %d", len(seen), len(model))
	}
	for u, v := range seen {
		if model[u] != v {
			t.Fatalf("each: %q: %v, want %v", u, v, model[u])
		}
	}
	some := 0
	table.some(keys[1], 8, func(in *item[int]) {
		some++
		if _, ok := model[in.key()]; !ok {
			t.Fatalf("some: %q is not in it", in.key())
		}
	})
	if want := min(8, len(model)); some != want {
		t.Fatalf("some: %d items, want %d", some, want)
	}
}

// Readers find what is there at every moment, whatever is written meanwhile: values only grow, so none is seen to go
// back, and no reader misses an address while its value changes or its shard grows.
func TestTableIsReadWhileItIsWritten(t *testing.T) {
	table := newTable[[2]int]()
	staying, others := keysOf(500), make([]message.URL, 4000)
	for i, u := range staying {
		table.set(u, [2]int{0, i})
	}
	for i := range others {
		others[i] = message.URL(fmt.Sprintf("hyperty://example.com/other-%d", i))
	}
	var over atomic.Bool
	var readers sync.WaitGroup
	var read atomic.Int64
	for range 3 {
		readers.Go(func() {
			last := make([]int, len(staying))
			for !over.Load() {
				for i, u := range staying {
					v, ok := table.get(u)
					if !ok || v[1] != i || v[0] < last[i] {
						t.Errorf("%q: %v %v after %d", u, v, ok, last[i])
						over.Store(true)
						return
					}
					last[i] = v[0]
				}
				read.Add(1)
			}
		})
	}
	for round := 1; (round <= 40 || read.Load() < 10) && !over.Load(); round++ {
		for i, u := range others {
			table.set(u, [2]int{round, i})
			table.set(staying[i%len(staying)], [2]int{round, i % len(staying)})
		}
		for _, u := range others {
			table.delete(u)
		}
	}
	over.Store(true)
	readers.Wait()
}

func FuzzAddressKey(f *testing.F) {
	for _, u := range []string{"hyperty://example.com/bob", "hyperty://a/b/", "hyperty://a/b//", "runtime://a/b/c", "a://", "a:///", "a:///b/",
		"mn:/session", "a:b://c/d/e", "", "comm://x/y/changes", "rest://a/b/c", "://", "a://b//c"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := message.URL(text)
		if got, want := addressKey(u), u.Base().Canonical(); got != want {
			t.Errorf("%q: %q, want %q", u, got, want)
		}
	})
}
