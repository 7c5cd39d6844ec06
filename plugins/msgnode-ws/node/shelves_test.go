package node

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// naive is the order of [shelves.pick] in the simplest way.
func naive(all map[string]*registration) (keys []string) {
	since := map[string]int64{} // of addresses, and of their runtimes
	of := map[string][]string{} // the same; what is below each
	note := func(key, below string, at int64) {
		if old, ok := since[key]; !ok || at < old {
			since[key] = at
		}
		if !slices.Contains(of[key], below) {
			of[key] = append(of[key], below)
		}
	}
	for key, r := range all {
		site := "site " + r.site()
		address := site + " address " + r.address()
		runtime := address + " " + string(r.Owner)
		note("", site, 0)
		note(site, address, r.since())
		note(address, runtime, r.since())
		note(runtime, key, r.since())
		since[key] = -r.since() // the newest first
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

// Whatever is entered, changed and removed, entries come in the order that is described.
func TestShelvesKeepTheirOrder(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		began := time.Unix(1_700_000_000, 0)
		s, all := shelves{}, map[string]*registration{}
		used := map[int64]bool{}
		for step := range 4000 {
			key := fmt.Sprint(r.IntN(2000))
			old := all[key]
			var value *registration
			switch {
			case old != nil && r.IntN(3) == 0: // a sign of life
				e := *old
				e.Modified = e.Modified.Add(time.Second)
				value = &e
			case r.IntN(4) > 0:
				at := r.Int64N(1 << 40)
				for used[at] {
					at++
				}
				used[at] = true
				value = &registration{URL: message.URL("hyperty://example.com/" + key), Started: began.Add(time.Duration(at)),
					Owner: message.URL(fmt.Sprintf("runtime://example.com/%d", r.IntN(1+r.IntN(1200)))), Source: fmt.Sprint(r.IntN(1 + r.IntN(900))),
					Fields: map[string]json.RawMessage{"user": json.RawMessage(`"user://example.com/bob"`)}}
				switch r.IntN(5) {
				case 0:
					value.Source = ""
				case 1, 2:
					value.Source = fmt.Sprintf("site%d.%s", r.IntN(1+r.IntN(40)), value.Source)
				}
			}
			s.replace(key, old, value)
			if all[key] = value; value == nil {
				delete(all, key)
			}
			if step%500 != 499 {
				continue
			}
			var got []string
			last := 0
			for _, c := range s.pick("user:user://example.com/bob", 1<<20) {
				if got = append(got, c.key); c.value != all[c.key] || c.round < last {
					t.Fatalf("seed %d: another value of %s, or round %d behind %d", seed, c.key, c.round, last)
				}
				last = c.round
			}
			if want := naive(all); !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: %d entries in another order than %d", seed, step, len(got), len(want))
			}
			if few := s.pick("user:user://example.com/bob", 7); len(few) != min(7, len(got)) || len(few) > 0 && few[0].key != got[0] {
				t.Fatalf("seed %d: %d of 7", seed, len(few))
			}
		}
	}
}
