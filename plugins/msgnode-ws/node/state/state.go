package state

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

// State is the tables of a node, and how much there may be in them.
type State struct {
	Allocations   *table.Table[Allocation]
	Subscriptions *table.Table[Subscription]
	Registrations *table.Table[Registration]
	Sessions      *table.Table[Session]
	Redeemed      *table.Table[Redemption] // nil where tokens do not count

	domain string
	bounds Options
	ctx    context.Context // ends when it is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup // the goroutines that follow
}

// Options are where the tables are, and what they may have.
type Options struct {
	Domain   string
	NATS     *backbone.NATS
	Replicas int  // servers of a cluster that keep each table
	Invites  bool // whether uses of tokens are counted

	Runtime, Address, All int64 // bytes of one runtime, of one address, and of the whole
	Rows                  int   // of the whole

	Timeout time.Duration // for one read or write; 0: 5 s

	Granted func(*Allocation)   // called with each allocation that comes into the copy, before a write of it returns
	Noted   func(*Subscription) // the same for subscriptions
	Log     hclog.Logger
}

// Open opens the tables and waits until their copies in memory are complete. There are no bounds yet: see [State.Bound].
func Open(ctx context.Context, o Options) (*State, error) {
	s := &State{domain: o.Domain, bounds: o}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	err := s.openTables(ctx, o)
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openTables opens the buckets at once, since a cluster needs its time for each. The copies are filled one after the other: what is
// told of a row may need the tables before.
func (s *State) openTables(ctx context.Context, o Options) (err error) {
	kvs, err := s.openBuckets(ctx, o)
	if err != nil {
		return err
	}
	prefix := backbone.BucketPrefix(o.Domain)
	s.Allocations = table.New(kvs["addresses"], table.Options[Allocation]{Name: prefix + "addresses", Terms: (*Allocation).Terms, Put: o.Granted})
	s.Subscriptions = table.New(kvs["subscriptions"], table.Options[Subscription]{Name: prefix + "subscriptions", Terms: (*Subscription).terms, Put: o.Noted})
	s.Registrations = table.New(kvs["registry"], registrationTable(prefix+"registry"))
	s.Sessions = table.New(kvs["sessions"], table.Options[Session]{Name: prefix + "sessions", Terms: (*Session).terms})
	for _, next := range []func() error{
		func() error { return fill(ctx, s, s.Allocations) }, func() error { return fill(ctx, s, s.Subscriptions) },
		func() error { return fill(ctx, s, s.Registrations) }, func() error { return fill(ctx, s, s.Sessions) },
	} {
		if err := next(); err != nil {
			return err
		}
	}
	if o.Invites {
		s.Redeemed = table.New(kvs["redeemed"], table.Options[Redemption]{Name: prefix + "redeemed", Terms: (*Redemption).terms})
		return fill(ctx, s, s.Redeemed)
	}
	return nil
}

// openBuckets opens the tables' buckets, or makes them.
func (s *State) openBuckets(ctx context.Context, o Options) (map[string]jetstream.KeyValue, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var failed error // the first one: the others end because of it
	var wg sync.WaitGroup
	kvs := map[string]jetstream.KeyValue{}
	for _, name := range TableNames() {
		if name == "redeemed" && !o.Invites {
			continue
		}
		ttl := time.Duration(0)
		if name == "sessions" {
			ttl = sessionTTL
		}
		wg.Go(func() {
			kv, err := o.NATS.Bucket(ctx, backbone.BucketPrefix(o.Domain)+name, BucketOptions(o.Replicas, ttl))
			mu.Lock()
			defer mu.Unlock()
			if kvs[name] = kv; err != nil && failed == nil {
				failed = err
				cancel()
			}
		})
	}
	wg.Wait()
	return kvs, failed
}

// InMemory makes a state of a domain whose copies follow nothing, for code that only reads.
func InMemory(domain string) *State {
	return &State{domain: domain, Sessions: table.New(nil, table.Options[Session]{Terms: (*Session).terms}), Allocations: table.New(nil, table.Options[Allocation]{Terms: (*Allocation).Terms}),
		Registrations: table.New(nil, registrationTable("")), Subscriptions: table.New(nil, table.Options[Subscription]{Terms: (*Subscription).terms})}
}

// TableNames are the names of the tables, behind the domain's prefix.
func TableNames() []string {
	return []string{"addresses", "subscriptions", "registry", "sessions", "redeemed"}
}

// BucketOptions are how a table's bucket is kept: with some room besides the largest row.
func BucketOptions(replicas int, ttl time.Duration) backbone.BucketOptions {
	return backbone.BucketOptions{Replicas: replicas, MaxValue: table.MaxRow + 4096, TTL: ttl}
}

// fill has the table's copy follow its bucket, and waits until it is complete.
func fill[T any](ctx context.Context, s *State, t *table.Table[T]) error {
	s.wg.Go(func() {
		follow(s.ctx, func() error { return t.Follow(s.ctx, s.bounds.NATS.Life()) }, s.bounds.Log)
	})
	select {
	case <-t.Ready():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("message node: state %s: its rows did not all come: %w", t.Name(), ctx.Err())
	}
}

// A copy that has followed its source for this long, and loses it, tries again as soon as after a first loss.
const followed = time.Minute

// follow makes a copy follow its source, and try again whenever it has lost it, until ctx ends: soon at first, then more
// seldom.
func follow(ctx context.Context, once func() error, log hclog.Logger) {
	again := backoff.Backoff{Min: 500 * time.Millisecond, Max: 2 * time.Second}
	for ctx.Err() == nil {
		began := time.Now()
		err := once()
		if err == nil || time.Since(began) >= followed {
			again.Reset()
		}
		if ctx.Err() == nil && err != nil {
			log.Warn("the state's copy lost its source, trying again", "error", err)
			again.Wait(ctx)
		}
	}
}

// Within returns a context for one read or write.
func (s *State) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(s.bounds.Timeout, 5*time.Second))
}

// Unsubscribe removes the subscription with the key.
func (s *State) Unsubscribe(ctx context.Context, key string) error {
	ctx, cancel := s.Within(ctx)
	defer cancel()
	return s.Subscriptions.Change(ctx, key, func(*Subscription) (*Subscription, error) { return nil, nil })
}

// Bound sets the bounds: from now on, writes that make the state larger than it may be are refused. It is called before other
// goroutines write.
func (s *State) Bound() {
	s.Allocations.Bound(s.room)
	s.Subscriptions.Bound(s.room)
	s.Registrations.Bound(s.room)
	s.Sessions.Bound(s.room)
	if s.Redeemed != nil {
		s.Redeemed.Bound(s.room)
	}
}

// Close ends the copies, and waits for the goroutines that follow the tables.
func (s *State) Close() {
	s.cancel()
	s.wg.Wait()
}

// Owner is the runtime that u, or the address that u is a part of, is allocated to; or "".
func (s *State) Owner(u message.URL) message.URL {
	if a := s.Allocations.Get(AddressKey(u.Base())); a != nil {
		return a.Runtime
	}
	return ""
}

// Valid tells whether the entry belongs to its address's owner: an entry of an address that was given to another runtime since
// is not valid.
func (s *State) Valid(r *Registration) bool {
	if r == nil {
		return false
	}
	if r.URL.IsRuntime() {
		return true
	}
	owner := s.Owner(r.URL)
	return owner == "" || owner == r.Owner
}

// Known tells whether the state has anything of a runtime.
func (s *State) Known(runtime message.URL) bool {
	term := "r:" + string(runtime)
	return s.Registrations.Count(term) > 0 || s.Allocations.Count(term) > 0 || s.Subscriptions.Count(term) > 0
}

// Full is the error of a write that would exceed a bound, with the code of the response.
type Full struct {
	Code int
	Text string
}

func (e *Full) Error() string { return e.Text }

func noRoom(code int, format string, args ...any) *Full {
	return &Full{code, fmt.Sprintf(format, args...)}
}

// room tells whether the state may grow. Each node of a cluster looks at its own copy, so together they may exceed a bound by
// what they write at the same moment.
func (s *State) room(g table.Growth) error {
	b := &s.bounds
	rows, all := s.Size()
	runtimes, sources := s.Weighs(g.Runtime), s.Weighs(g.Source)
	switch {
	case g.Runtime != "" && runtimes+g.Bytes > b.Runtime:
		return noRoom(message.CodeTooMany, "the node keeps %d bytes of this runtime's addresses, entries and subscriptions, at most %d are kept; free some", runtimes, b.Runtime)
	case g.Source != "" && sources+g.Bytes > b.Address:
		return noRoom(message.CodeTooMany, "the node keeps %d bytes of what came from your address, at most %d are kept; free some", sources, b.Address)
	case all+g.Bytes > b.All, rows+g.Rows > b.Rows:
		return noRoom(message.CodeError, "the node's state is full: %d entries, %d bytes; its operator can raise limits.state and limits.rows", rows, all)
	}
	return nil
}

// Size is the number of rows in the state, and their weight in bytes.
func (s *State) Size() (rows int, bytes int64) {
	for _, size := range []func() (int, int64){s.Allocations.Size, s.Subscriptions.Size, s.Registrations.Size, s.Sessions.Size} {
		r, b := size()
		rows, bytes = rows+r, bytes+b
	}
	return rows, bytes
}

// Weighs is the weight of all rows with a term, in bytes.
func (s *State) Weighs(term string) int64 {
	return s.Allocations.Weighs(term) + s.Subscriptions.Weighs(term) + s.Registrations.Weighs(term) + s.Sessions.Weighs(term)
}

// SourceTerm is the term by which rows from an address are found and counted; that of an IPv6 address begins with its site's.
// The address itself is not kept.
func (s *State) SourceTerm(from quota.Source) string {
	if !from.IsValid() {
		return ""
	}
	term := func(p netip.Prefix) string { return backbone.Hash(s.domain + " " + p.String())[:16] }
	if from.Addr().Is4() {
		return term(from.Prefix)
	}
	return term(netip.PrefixFrom(from.Addr(), siteBits).Masked()) + sitesAddress + term(from.Prefix)
}
