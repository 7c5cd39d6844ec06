package node

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// pair registers a hyperty at an address that the node has made, and takes it out again, as a runtime does.
func (c *client) pair(u message.URL) {
	c.t.Helper()
	c.must(message.Create, lookups, entryOf(c.runtime, u, ""))
	c.must(message.Update, lookups, fmt.Sprintf(`{"resource":"%s","value":{"status":"disconnected"}}`, u))
	c.must(message.Delete, allocator, fmt.Sprintf(`{"childrenResources":["%s"]}`, u))
}

// However many entries a runtime has had, it may have as many live ones as ever. Of what is gone the names that it keeps are
// remembered before the addresses that are nobody's any more.
func TestGoneEntriesDoNotCount(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Limits: Limits{Registrations: 4}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	name := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	bob.must(message.Create, lookups, entryOf(bob.runtime, name, ""))
	bob.must(message.Delete, lookups, fmt.Sprintf(`{"resource":"%s"}`, name))
	last := message.URL("")
	for range 10 {
		for _, u := range bob.allocate(`{"value":{"number":4}}`) {
			bob.pair(u)
			last = u
		}
	}
	if gone := n.state.Registrations.Count(state.GoneTerm(bob.runtime)); gone > 5 || gone < 3 {
		t.Errorf("%d entries are remembered that are gone, 4 may be live", gone)
	}
	for u, want := range map[message.URL]int{name: 408, last: 408} {
		code, text := alice.ask(message.Read, lookups, fmt.Sprintf(`{"resource":"%s"}`, u))
		if code != want {
			t.Errorf("%s: %d %s", u, code, text)
		}
		if released := strings.Contains(string(text), `"released":true`); released != (u == last) { // bob keeps his name
			t.Errorf("%s is given up: %v", u, released)
		}
	}
	// Those that are live are counted, also those that come back.
	for _, u := range bob.allocate(`{"value":{"number":4}}`) {
		bob.must(message.Create, lookups, entryOf(bob.runtime, u, ""))
	}
	more := bob.allocate(`{}`)[0]
	for kind, body := range map[message.Type]string{message.Create: entryOf(bob.runtime, more, ""), message.Update: fmt.Sprintf(`{"resource":"%s"}`, name)} {
		if code, text := bob.ask(kind, lookups, body); code != 429 {
			t.Errorf("%s of a fifth live entry: %d %s", kind, code, text)
		}
	}
	// Neither what is gone nor its size keeps a runtime from registering.
	small := start(t, Options{Limits: Limits{RuntimeState: 32 << 10}})
	carl := small.join(t, 3)
	for range 100 {
		carl.pair(carl.allocate(`{}`)[0])
	}
}

// kept is what a node has in memory and on the disk.
type kept struct {
	rows       int
	heap, disk uint64
}

func (r *running) kept(t *testing.T, folder string) (k kept) {
	t.Helper()
	k.rows, _ = r.state.Size()
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	k.heap = m.HeapAlloc
	err := filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // it has just been removed
		}
		if info, err := e.Info(); err == nil {
			k.disk += uint64(info.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// pairsVariable is how many pairs TestLongRegistrationsComeBack makes, where it is set.
const pairsVariable = "LONG_PAIRS"

// A runtime registers and unregisters for months: the node refuses nothing, and a minute after the last entry was forgotten it keeps no
// row, no mark, and no more memory than after a short while, and of its disk a block of each stream. LONG_PAIRS is how many pairs are made; 20,000 by default.
func TestLongRegistrationsComeBack(t *testing.T) {
	longtest.Skip(t)
	pairs := 20_000
	if text := os.Getenv(pairsVariable); text != "" {
		var err error
		if pairs, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	n := start(t, Options{Data: folder, Times: Times{Ping: time.Hour, Retention: 2 * time.Second, Sweep: time.Second}, Limits: Limits{Writes: 1 << 20, Requests: 1 << 28, AddressRequests: 1 << 28}})
	const runtimes = 8
	var clients []*client
	for i := range runtimes {
		clients = append(clients, n.join(t, i+1))
	}
	churn := func(pairs int) time.Duration {
		began := time.Now()
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() {
				for range pairs / runtimes / 8 {
					for _, u := range c.allocate(`{"value":{"number":8}}`) {
						c.pair(u)
					}
				}
			})
		}
		all.Wait()
		return time.Since(began)
	}
	// quiet is what is left when the marks of what was removed are gone, and the streams' files are small again: an index is written anew
	// every two minutes.
	quiet := func(disk uint64) (k kept) {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for deadline := time.After(longtest.Hung); ; {
			values := uint64(0)
			for _, name := range []string{"addresses", "registry", "subscriptions", "sessions"} {
				status, err := n.bucket(t, name).Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				values += status.Values()
			}
			if k = n.kept(t, folder); values == 0 && k.rows == 0 && k.disk <= disk {
				return k
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%d messages are left in the streams: %+v, at most %d bytes are to be on the disk", values, k, disk)
			}
		}
	}
	churn(runtimes * 256)
	before := quiet(1 << 40)
	took := churn(pairs)
	const block = 4 << 20 // of the two streams that are written to; the last one of each is made compact when there is another
	after := quiet(before.disk + 2*block)
	t.Logf("%d pairs in %v (%.0f a second): %+v before, %+v after", pairs, took, float64(pairs)/took.Seconds(), before, after)
	if after.heap > before.heap+before.heap/20+1<<20 {
		t.Errorf("heap %d, before %d", after.heap, before.heap)
	}
}
