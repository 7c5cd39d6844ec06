package shelves

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// item is an entry of the tests. alive counts how often it was kept alive.
type item struct {
	at    Place
	alive int
}

const bobs = "user:bob"

// naive is the order of [shelves.pick] in the simplest way.
func naive(all map[string]*item) (keys []string) {
	since := map[string]int64{} // of addresses, and of their runtimes
	of := map[string][]string{} // by the same keys: the keys one level below
	note := func(key, below string, at int64) {
		if old, ok := since[key]; !ok || at < old {
			since[key] = at
		}
		if !slices.Contains(of[key], below) {
			of[key] = append(of[key], below)
		}
	}
	for key, e := range all {
		r := e.at
		site := "site " + r.Site
		address := site + " address " + r.Address
		runtime := address + " " + r.Runtime
		note("", site, 0)
		note(site, address, r.Since)
		note(address, runtime, r.Since)
		note(runtime, key, r.Since)
		since[key] = -r.Since // the newest first
	}
	order := func(key string) []string {
		slices.SortFunc(of[key], func(a, b string) int { return cmp.Or(cmp.Compare(since[a], since[b]), cmp.Compare(a, b)) })
		return of[key]
	}
	inTurn := func(lists [][]string) (out []string) {
		for i, more := 0, true; more; i++ {
			more = false
			for _, l := range lists {
				if i < len(l) {
					out, more = append(out, l[i]), true
				}
			}
		}
		return out
	}
	var sites [][]string
	for _, site := range order("") {
		var addresses [][]string
		for _, address := range order(site) {
			var runtimes [][]string
			for _, runtime := range order(address) {
				runtimes = append(runtimes, order(runtime))
			}
			addresses = append(addresses, inTurn(runtimes))
		}
		sites = append(sites, inTurn(addresses))
	}
	return inTurn(sites)
}

// Whatever is added, changed and removed, entries come in the documented order.
func TestShelvesKeepTheirOrder(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, all := New(func(i *item) Place { return i.at }, "user"), map[string]*item{}
		used := map[int64]bool{}
		for step := range 4000 {
			key := fmt.Sprint(r.IntN(2000))
			old := all[key]
			var value *item
			switch {
			case old != nil && r.IntN(3) == 0: // it is kept alive
				value = &item{at: old.at, alive: old.alive + 1}
			case r.IntN(4) > 0:
				since := r.Int64N(1 << 40)
				for used[since] {
					since++
				}
				used[since] = true
				runtime := fmt.Sprint("runtime", r.IntN(1+r.IntN(1200)))
				at := Place{Terms: []string{bobs, "other:x"}, Runtime: runtime, Since: since, Address: fmt.Sprint(r.IntN(1 + r.IntN(900)))}
				switch at.Site = at.Address; r.IntN(5) {
				case 0:
					at.Address, at.Site = runtime, runtime
				case 1, 2:
					at.Site = fmt.Sprint("site", r.IntN(1+r.IntN(40)))
					at.Address = at.Site + "." + at.Address
				}
				value = &item{at: at}
			}
			s.Replace(key, old, value)
			if all[key] = value; value == nil {
				delete(all, key)
			}
			if step%500 != 499 {
				continue
			}
			var got []string
			last := 0
			for _, c := range s.Pick(bobs, 1<<20) {
				if got = append(got, c.Key); c.Value != all[c.Key] || c.Round < last {
					t.Fatalf("seed %d: another value of %s, or round %d behind %d", seed, c.Key, c.Round, last)
				}
				last = c.Round
			}
			if want := naive(all); !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: %d entries in another order than %d", seed, step, len(got), len(want))
			}
			if few := s.Pick(bobs, 7); len(few) != min(7, len(got)) || len(few) > 0 && few[0].Key != got[0] {
				t.Fatalf("seed %d: %d of 7", seed, len(few))
			}
		}
	}
}
