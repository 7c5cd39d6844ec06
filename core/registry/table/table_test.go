package table

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

func someone(i int) message.URL {
	return message.URL(fmt.Sprintf("hyperty://example.com/some-hyperty-%d", i))
}

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
	table, model := New[int](), map[message.URL]int{}
	keys := append(keysOf(20_000), "")
	for step := range 300_000 {
		shrinking := step/30_000%3 == 1
		u := keys[random.IntN(len(keys))]
		switch {
		case random.IntN(3) > 0 && !shrinking || random.IntN(50) == 0:
			table.Set(u, step)
			model[u] = step
		default:
			table.Delete(u)
			delete(model, u)
		}
		if step%10_000 == 0 || step == 299_999 {
			compare(t, table, model, keys)
		}
	}
	for _, u := range keys {
		table.Delete(u)
	}
	if table.Len() != 0 {
		t.Errorf("%d items are left", table.Len())
	}
	for i := range table.shards {
		if table.shards[i].index.Load() != nil {
			t.Fatal("an empty shard keeps its memory")
		}
	}
}

// The empty address is not confused with a long one, whose item has no text either.
func TestTableTellsEmptyFromLong(t *testing.T) {
	long, empty := newItem(message.URL(strings.Repeat("x", maxText+1)), 1), newItem(message.URL(""), 2)
	if long.is("") || !empty.is("") || empty.is(long.Key()) || !long.is(long.Key()) {
		t.Error("taken for one another")
	}
}

func compare(t *testing.T, table *Table[int], model map[message.URL]int, keys []message.URL) {
	t.Helper()
	if table.Len() != len(model) {
		t.Fatalf("%d items, want %d", table.Len(), len(model))
	}
	for _, u := range keys {
		got, ok := table.Get(u)
		want, known := model[u]
		if got != want || ok != known {
			t.Fatalf("%q: %v %v, want %v %v", u, got, ok, want, known)
		}
	}
	seen := map[message.URL]int{}
	table.Each(0, Shards, func(in *Item[int]) bool {
		seen[in.Key()] = in.Value
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
	table.Some(keys[1], 8, func(in *Item[int]) {
		some++
		if _, ok := model[in.Key()]; !ok {
			t.Fatalf("some: %q is not in it", in.Key())
		}
	})
	if want := min(8, len(model)); some != want {
		t.Fatalf("some: %d items, want %d", some, want)
	}
}

// Readers find the items at every moment, whatever is written meanwhile: values only grow, so none may be seen to go back,
// and no reader misses an address while its value changes or its shard grows.
func TestTableIsReadWhileItIsWritten(t *testing.T) {
	table := New[[2]int]()
	staying, others := keysOf(500), make([]message.URL, 4000)
	for i, u := range staying {
		table.Set(u, [2]int{0, i})
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
					v, ok := table.Get(u)
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
			table.Set(u, [2]int{round, i})
			table.Set(staying[i%len(staying)], [2]int{round, i % len(staying)})
		}
		for _, u := range others {
			table.Delete(u)
		}
	}
	over.Store(true)
	readers.Wait()
}

// BenchmarkGet is one look-up in a table, in the standard library's concurrent map and in a bare map with a lock around it, of n
// addresses: "near" the same few again and again, "far" all of them in no order.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		keys := make([]message.URL, n)
		ours, locked := New[uint64](), map[message.URL]uint64{}
		var theirs sync.Map
		var lock sync.RWMutex
		for i := range keys {
			keys[i] = someone(i)
			ours.Set(keys[i], uint64(i))
			theirs.Store(keys[i], uint64(i))
			locked[keys[i]] = uint64(i)
		}
		for name, get := range map[string]func(message.URL) bool{
			"table":    func(u message.URL) bool { _, ok := ours.Get(u); return ok },
			"sync.Map": func(u message.URL) bool { _, ok := theirs.Load(u); return ok },
			"RWMutex":  func(u message.URL) bool { lock.RLock(); defer lock.RUnlock(); _, ok := locked[u]; return ok },
		} {
			for _, where := range []string{"near", "far"} {
				b.Run(fmt.Sprintf("%s/%d/%s", name, n, where), func(b *testing.B) {
					order := make([]message.URL, 1<<20)
					random := rand.New(rand.NewPCG(1, 2))
					for i := range order {
						one := i % 64
						if where == "far" {
							one = random.IntN(n)
						}
						order[i] = message.URL(strings.Clone(string(keys[one]))) // a message brings a text of its own
					}
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if !get(order[i&(len(order)-1)]) {
							b.Fatal("lost")
						}
					}
				})
			}
		}
	}
}
