package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/shelves"
	"github.com/protofly/protofly/sdk/message"
)

// MaxRow is the largest row of a table, in bytes of JSON.
const MaxRow = 256 << 10

// Table is a JetStream KV bucket with a copy in memory that follows it, so that reads wait for nothing and rows
// can be found by their contents. A write returns when it is on the disk and in the copy. Several nodes may write
// to one bucket: a write that another node's overtook is tried again.
type Table[T any] struct {
	kv       jetstream.KeyValue
	name     string
	terms    func(*T) []string
	put      func(*T)
	complete chan struct{}      // closed when the copy is complete
	silences int                // how often in a row the rows that were there stopped coming; Follow's own
	room     func(Growth) error // tells whether a write may be made; nil: every one may

	mu      sync.RWMutex
	rows    map[string]row[T]
	weights weights
	index   map[string]map[string]struct{} // term → keys, of terms that have no shelf
	Shelves *shelves.Shelves[T]            // of terms of its kinds; nil: there are none
	applied uint64                         // the latest revision of any row in the copy
	changed chan struct{}                  // closed and replaced at every change
}

// row is one entry; the value is immutable.
type row[T any] struct {
	value *T
	rev   uint64
	size  int // what it counts as, in bytes
}

// Options are what a table has. Terms must be set.
type Options[T any] struct {
	Name    string
	Terms   func(*T) []string   // the terms by which a row can be found, each as <kind>:<text>
	Put     func(*T)            // called for each row that comes into the copy, before a write of it returns; may be nil
	Shelves *shelves.Shelves[T] // for terms that rows of strangers may share; nil: there are none
}

// New makes a table of a bucket. Its copy is empty before Follow.
func New[T any](kv jetstream.KeyValue, o Options[T]) *Table[T] {
	return &Table[T]{name: o.Name, kv: kv, terms: o.Terms, put: o.Put, Shelves: o.Shelves, complete: make(chan struct{}),
		rows: map[string]row[T]{}, index: map[string]map[string]struct{}{}, changed: make(chan struct{})}
}

// Bound makes the table call room before each write that makes the state larger. It is called before the first write.
func (t *Table[T]) Bound(room func(Growth) error) { t.room = room }

// Name is its bucket's.
func (t *Table[T]) Name() string { return t.name }

// Ready is closed when the copy is complete.
func (t *Table[T]) Ready() <-chan struct{} { return t.complete }

func (t *Table[T]) apply(e jetstream.KeyValueEntry) {
	var value *T
	if e.Operation() == jetstream.KeyValuePut {
		value = new(T)
		if json.Unmarshal(e.Value(), value) != nil {
			value = nil // not a row of ours: ignore it
		}
	}
	if t.Set(e.Key(), value, len(e.Value()), e.Revision()) && value != nil && t.put != nil {
		t.put(value)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.applied = max(t.applied, e.Revision())
	close(t.changed)
	t.changed = make(chan struct{})
}

// Set replaces a row of the copy, unless it has that revision or a later one; nil removes it. bytes is the length of its JSON.
// Follow calls it for the bucket's rows; without a bucket others may.
func (t *Table[T]) Set(key string, value *T, bytes int, revision uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if revision <= t.rows[key].rev {
		return false
	}
	t.shelve(key, value)
	t.remove(key)
	if value != nil {
		size := sizeOf(value, bytes)
		t.rows[key] = row[T]{value, revision, size}
		terms := t.terms(value)
		t.weights.add(terms, size, 1, t.shelved)
		for _, term := range terms {
			if t.shelved(term) {
				continue
			}
			if t.index[term] == nil {
				t.index[term] = map[string]struct{}{}
			}
			t.index[term][key] = struct{}{}
		}
	}
	return true
}

// drop removes the rows that have gone since an earlier Follow.
func (t *Table[T]) drop(seen map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.rows {
		if !seen[key] {
			t.shelve(key, nil)
			t.remove(key)
		}
	}
}

// shelve replaces the row with the key by a new value on the shelves. t.mu is held.
func (t *Table[T]) shelve(key string, value *T) {
	if t.Shelves != nil {
		t.Shelves.Replace(key, t.rows[key].value, value)
	}
}

// shelved tells whether rows with a term are found on a shelf.
func (t *Table[T]) shelved(term string) bool { return t.Shelves != nil && t.Shelves.Takes(term) }

// remove takes a row out of the copy, but not off its shelves. t.mu is held.
func (t *Table[T]) remove(key string) {
	old, ok := t.rows[key]
	if !ok {
		return
	}
	terms := t.terms(old.value)
	t.weights.add(terms, -old.size, -1, t.shelved)
	for _, term := range terms {
		if keys := t.index[term]; keys != nil {
			if delete(keys, key); len(keys) == 0 {
				delete(t.index, term)
			}
		}
	}
	delete(t.rows, key)
}

// Get is the row with the key, or nil.
func (t *Table[T]) Get(key string) *T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rows[key].value
}

// Pick gives rows with a term that has a shelf, at most so many, in the order of [shelves.pick].
func (t *Table[T]) Pick(term string, limit int) []shelves.Candidate[T] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.Shelves == nil {
		return nil
	}
	return t.Shelves.Pick(term, limit)
}

// Find gives the rows with the term, by key.
func (t *Table[T]) Find(term string) map[string]*T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make(map[string]*T, len(t.index[term]))
	for key := range t.index[term] {
		out[key] = t.rows[key].value
	}
	return out
}

// Count is the number of rows with the term.
func (t *Table[T]) Count(term string) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.shelved(term) {
		return t.Shelves.Count(term)
	}
	return len(t.index[term])
}

// Each calls f for every row as of now.
func (t *Table[T]) Each(f func(key string, value *T)) {
	t.mu.RLock()
	rows := make(map[string]*T, len(t.rows))
	for key, r := range t.rows {
		rows[key] = r.value
	}
	t.mu.RUnlock()
	for key, v := range rows {
		f(key, v)
	}
}

// Size is the number of rows and their weight; weighs is what is counted for a term.
func (t *Table[T]) Size() (rows int, bytes int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.weights.rows, t.weights.bytes
}

func (t *Table[T]) Weighs(term string) int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.weights.of[term]
}

// staleRead is how long to wait for a server of a cluster to learn what another one has written.
const staleRead = 20 * time.Millisecond

// maxTries is how often a write that others overtake is tried.
const maxTries = 16

// errTaken says that Change gave up, since others kept changing the row.
var errTaken = errors.New("the entry is being changed by others, try again")

// Change replaces the row with the key by what f makes of it: nil removes it, the same pointer leaves it. An error of f
// is returned as it is.
func (t *Table[T]) Change(ctx context.Context, key string, f func(old *T) (*T, error)) error {
	for range maxTries {
		t.mu.RLock()
		old := t.rows[key]
		t.mu.RUnlock()
		value, err := f(old.value)
		if err != nil || value == old.value {
			return err
		}
		var rev uint64
		text := message.Encode(value)
		if err := t.fits(old, value, text); err != nil {
			return err
		}
		switch {
		case value == nil:
			err = t.kv.Purge(ctx, key, jetstream.LastRevision(old.rev), jetstream.PurgeTTL(backbone.MarkerTTL))
			rev = old.rev + 1
		case old.value == nil:
			rev, err = t.kv.Create(ctx, key, text)
		default:
			rev, err = t.kv.Update(ctx, key, text, old.rev)
		}
		if err == nil {
			return t.await(ctx, key, rev, value == nil)
		}
		if !overtaken(err) {
			return &Error{table: t.name, err: err}
		}
		if err := t.refresh(ctx, key, old.rev); err != nil {
			return &Error{table: t.name, err: err}
		}
	}
	return errTaken
}

// fits tells whether a row may be replaced by value, whose JSON is text. A write that does not make the state larger is always
// allowed.
func (t *Table[T]) fits(old row[T], value *T, text []byte) error {
	if t.room == nil || value == nil {
		return nil
	}
	if v, ok := any(value).(note); ok && v.Note() {
		return nil
	}
	size := sizeOf(value, len(text))
	terms := t.terms(value)
	g := Growth{Bytes: weight(terms, size), Rows: 1}
	if old.value != nil {
		g.Rows, g.Bytes = 0, g.Bytes-weight(t.terms(old.value), old.size)
	}
	if g.Bytes <= 0 {
		return nil
	}
	for _, term := range terms {
		switch {
		case strings.HasPrefix(term, ofRuntime):
			g.Runtime = term
		case strings.HasPrefix(term, ofSource):
			g.Source = term
		}
	}
	return t.room(g)
}

// await waits until the copy has the write of a row with the revision, or a later write; gone says that the write removed the
// row.
func (t *Table[T]) await(ctx context.Context, key string, rev uint64, gone bool) error {
	for {
		t.mu.RLock()
		there, applied, changed := t.rows[key].value != nil, t.applied, t.changed
		t.mu.RUnlock()
		if !gone && applied >= rev || gone && !there {
			return nil
		}
		select {
		case <-ctx.Done():
			return &Error{table: t.name, err: ctx.Err()}
		case <-changed:
		}
	}
}

// refresh waits until the copy has seen the write that overtook ours.
func (t *Table[T]) refresh(ctx context.Context, key string, seen uint64) error {
	for {
		t.mu.RLock()
		r, changed := t.rows[key], t.changed
		t.mu.RUnlock()
		if r.rev != seen {
			return nil
		}
		e, err := t.kv.Get(ctx, key)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound) && seen == 0, err == nil && e.Revision() == seen:
			// The row has changed only for a moment, or the server that answered is behind the one that refused the write.
			select {
			case <-ctx.Done():
			case <-time.After(staleRead):
			}
			return ctx.Err()
		case err != nil && !errors.Is(err, jetstream.ErrKeyNotFound):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// CatchUp reads one row from the bucket, waits until the copy has it, and returns it; nil where there is none.
func (t *Table[T]) CatchUp(ctx context.Context, key string) (*T, error) {
	e, err := t.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err == nil {
		err = t.await(ctx, key, e.Revision(), false)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.name, err)
	}
	return t.Get(key), nil
}
