package table

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/shelves"
)

// bucket is a KV bucket in memory.
type bucket struct {
	jetstream.KeyValue
	mu       sync.Mutex
	last     uint64
	rows     map[string]*entry
	watchers []*watcher
	lags     bool // followers get nothing of what is written, until lag(false)
	late     []*entry
}

// lag(true) keeps what is written from followers, until lag(false).
func (b *bucket) lag(lags bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lags = lags
	for _, e := range b.late {
		b.tell(e)
	}
	b.late = nil
}

func (b *bucket) tell(e *entry) {
	if b.lags {
		b.late = append(b.late, e)
		return
	}
	for _, w := range b.watchers {
		w.updates <- e
	}
}

// entry is a row of the bucket; text is nil if it was removed.
type entry struct {
	jetstream.KeyValueEntry
	key      string
	text     []byte
	revision uint64
}

func (e *entry) Key() string      { return e.key }
func (e *entry) Value() []byte    { return e.text }
func (e *entry) Revision() uint64 { return e.revision }
func (e *entry) Operation() jetstream.KeyValueOp {
	if e.text == nil {
		return jetstream.KeyValuePurge
	}
	return jetstream.KeyValuePut
}

type watcher struct{ updates chan jetstream.KeyValueEntry }

func (w *watcher) Updates() <-chan jetstream.KeyValueEntry { return w.updates }
func (w *watcher) Stop() error                             { return nil }

func (b *bucket) WatchAll(context.Context, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &watcher{make(chan jetstream.KeyValueEntry, 1<<12)}
	for _, e := range b.rows {
		w.updates <- e
	}
	w.updates <- nil
	b.watchers = append(b.watchers, w)
	return w, nil
}

func (b *bucket) write(key string, text []byte, before uint64) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.rows[key]; now != nil && now.text != nil && now.revision != before || (now == nil || now.text == nil) && before != 0 {
		return 0, jetstream.ErrKeyExists
	}
	b.last++
	e := &entry{key: key, text: text, revision: b.last}
	b.rows[key] = e
	b.tell(e)
	return b.last, nil
}

func (b *bucket) Create(_ context.Context, key string, text []byte, _ ...jetstream.KVCreateOpt) (uint64, error) {
	return b.write(key, text, 0)
}

func (b *bucket) Update(_ context.Context, key string, text []byte, revision uint64) (uint64, error) {
	return b.write(key, text, revision)
}

func (b *bucket) Purge(_ context.Context, key string, _ ...jetstream.KVDeleteOpt) error {
	b.mu.Lock()
	before := b.rows[key].revision
	b.mu.Unlock()
	_, err := b.write(key, nil, before)
	return err
}

func (b *bucket) Get(_ context.Context, key string) (jetstream.KeyValueEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.rows[key]; e != nil && e.text != nil {
		return e, nil
	}
	return nil, jetstream.ErrKeyNotFound
}

// thing is a row of the tests.
type thing struct {
	Owner string `json:"owner"`
	User  string `json:"user,omitempty"`
	Count int    `json:"count,omitempty"`
	Text  string `json:"text,omitempty"`
}

func (x *thing) terms() []string { return []string{"r:" + x.Owner, "user:" + x.User} }

// follows makes a table that follows the bucket until the test ends.
func follows(t *testing.T, b *bucket) *Table[thing] {
	t.Helper()
	return followsWith(t, b, Options[thing]{Name: "things", Terms: (*thing).terms, Shelves: shelves.New(func(x *thing) shelves.Place {
		return shelves.Place{Terms: x.terms(), Address: x.Owner, Site: x.Owner, Runtime: x.Owner}
	}, "user")})
}

func followsWith(t *testing.T, b *bucket, o Options[thing]) *Table[thing] {
	t.Helper()
	table := New(b, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); table.Follow(ctx, nil) }()
	t.Cleanup(func() { cancel(); <-done })
	<-table.Ready()
	return table
}

func put(t *testing.T, table *Table[thing], key string, x *thing) {
	t.Helper()
	if err := table.Change(t.Context(), key, func(*thing) (*thing, error) { return x, nil }); err != nil {
		t.Fatal(key, err)
	}
}

// A changed row is in the copy when Change returns, is found by all its terms, and weighs nothing when it was removed.
func TestChangesAreInTheCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := follows(t, &bucket{rows: map[string]*entry{}})
		put(t, table, "1", &thing{Owner: "a", User: "bob"})
		put(t, table, "2", &thing{Owner: "b", User: "bob"})
		put(t, table, "2", &thing{Owner: "c", User: "bob", Text: "longer"})
		if x := table.Get("2"); x == nil || x.Owner != "c" || table.Count("r:b") != 0 || table.Count("r:c") != 1 || table.Count("user:bob") != 2 {
			t.Errorf("%+v; %d, %d and %d rows", x, table.Count("r:b"), table.Count("r:c"), table.Count("user:bob"))
		}
		if found := table.Find("r:a"); len(found) != 1 || found["1"].User != "bob" || len(table.Pick("user:bob", 10)) != 2 {
			t.Errorf("%v, %d picked", found, len(table.Pick("user:bob", 10)))
		}
		if table.Weighs("r:c") <= table.Weighs("r:a") {
			t.Errorf("a longer row weighs %d, a shorter one %d", table.Weighs("r:c"), table.Weighs("r:a"))
		}
		put(t, table, "1", nil)
		put(t, table, "2", nil)
		if rows, bytes := table.Size(); rows != 0 || bytes != 0 || table.Weighs("r:c") != 0 || table.Weighs("user:bob") != 0 || table.Count("user:bob") != 0 {
			t.Errorf("%d rows of %d bytes are left", rows, bytes)
		}
	})
}

// Several nodes write at the same time; no change is lost.
func TestChangesOfSeveralNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{rows: map[string]*entry{}}
		const nodes, each = 4, 50
		var wg sync.WaitGroup
		var tables []*Table[thing]
		for range nodes {
			tables = append(tables, follows(t, b))
		}
		for _, table := range tables {
			wg.Go(func() {
				for range each {
					for {
						err := table.Change(t.Context(), "x", func(old *thing) (*thing, error) {
							if old == nil {
								return &thing{Owner: "a", Count: 1}, nil
							}
							return &thing{Owner: "a", Count: old.Count + 1}, nil
						})
						if err == nil {
							break
						}
						if !errors.Is(err, errTaken) {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		for i, table := range tables {
			if x := table.Get("x"); x == nil || x.Count != nodes*each {
				t.Errorf("node %d: %+v", i, x)
			}
		}
	})
}

// room is called for a write that makes the state larger, with the row's runtime and source, and for no other one.
func TestGrowthIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := follows(t, &bucket{rows: map[string]*entry{}})
		full := errors.New("full")
		var asked []Growth
		table.Bound(func(g Growth) error {
			asked = append(asked, g)
			if g.Bytes > 10_000 {
				return full
			}
			return nil
		})
		put(t, table, "1", &thing{Owner: "a", Text: strings.Repeat("x", 1000)})
		put(t, table, "1", &thing{Owner: "a"})
		err := table.Change(t.Context(), "1", func(*thing) (*thing, error) { return &thing{Owner: "a", Text: strings.Repeat("x", 20_000)}, nil })
		if !errors.Is(err, full) || table.Get("1").Text != "" {
			t.Errorf("%v, %d bytes", err, len(table.Get("1").Text))
		}
		put(t, table, "1", nil)
		if len(asked) != 2 || asked[0].Rows != 1 || asked[0].Bytes < 1000 || asked[0].Runtime != "r:a" || asked[1].Rows != 0 {
			t.Errorf("%+v", asked)
		}
	})
}

// A Change that another node's write overtakes waits until that has come, however long it takes, and changes its result.
func TestChangesWaitForTheCopy(t *testing.T) {
	for name, before := range map[string]*thing{"a new row": nil, "a row that is removed": {Owner: "a", Count: 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bucket{rows: map[string]*entry{}}
				table := follows(t, b)
				if before != nil {
					put(t, table, "x", before)
				}
				b.lag(true)
				revision, err := b.write("x", []byte(`{"owner":"b","count":5}`), b.last)
				if err != nil {
					t.Fatal(err)
				}
				if before != nil {
					if _, err = b.write("x", nil, revision); err != nil {
						t.Fatal(err)
					}
				}
				time.AfterFunc(time.Minute, func() { b.lag(false) })
				began, seen := time.Now(), []int{}
				if err := table.Change(t.Context(), "x", func(old *thing) (*thing, error) {
					count := 0
					if old != nil {
						count = old.Count
					}
					seen = append(seen, count)
					return &thing{Owner: "a", Count: count + 10}, nil
				}); err != nil {
					t.Fatal(err)
				}
				want := []int{0, 5}
				if before != nil {
					want = []int{1, 0}
				}
				if !slices.Equal(seen, want) || time.Since(began) != time.Minute {
					t.Errorf("made of %v after %v, want %v", seen, time.Since(began), want)
				}
				if x := table.Get("x"); x == nil || x.Count != want[1]+10 {
					t.Errorf("the row is %+v", x)
				}
			})
		})
	}
}

// CatchUp returns a row of the bucket once the copy has it, and does not wait for a row that the bucket does not have.
func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{rows: map[string]*entry{}}
		table := follows(t, b)
		if x, err := table.CatchUp(t.Context(), "x"); x != nil || err != nil {
			t.Errorf("a row that is not there: %+v, %v", x, err)
		}
		b.lag(true)
		if _, err := b.write("x", []byte(`{"owner":"b","count":5}`), 0); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { b.lag(false) })
		if x, err := table.CatchUp(t.Context(), "x"); x == nil || x.Count != 5 || err != nil {
			t.Errorf("a row that another node has written: %+v, %v", x, err)
		}
	})
}

// Put is called for each row that comes, before its writer goes on, and not for rows that are removed or cannot be read.
func TestRowsThatComeAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []int
		b := &bucket{rows: map[string]*entry{}}
		table := followsWith(t, b, Options[thing]{Name: "things", Terms: (*thing).terms, Put: func(x *thing) { told = append(told, x.Count) }})
		put(t, table, "1", &thing{Owner: "a", Count: 1})
		put(t, table, "1", &thing{Owner: "a", Count: 2})
		put(t, table, "1", nil)
		if _, err := b.write("2", []byte("no row"), 0); err != nil {
			t.Fatal(err)
		}
		put(t, table, "3", &thing{Owner: "a", Count: 3})
		if want := []int{1, 2, 3}; !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v", told, want)
		}
	})
}

// Growth has the runtime and the source of a row.
func TestGrowthIsSomebodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []Growth
		table := followsWith(t, &bucket{rows: map[string]*entry{}}, Options[thing]{Name: "things",
			Terms: func(x *thing) []string { return []string{"user:u", ofSource + x.User, ofRuntime + x.Owner} }})
		table.Bound(func(g Growth) error { asked = append(asked, g); return nil })
		put(t, table, "1", &thing{Owner: "a", User: "192.0.2.1"})
		if len(asked) != 1 || asked[0].Runtime != ofRuntime+"a" || asked[0].Source != ofSource+"192.0.2.1" {
			t.Errorf("%+v", asked)
		}
	})
}
