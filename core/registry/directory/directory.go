package directory

import (
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/admission"
	"github.com/protofly/protofly/core/registry/table"
	"github.com/protofly/protofly/sdk/message"
)

// Options are the bounds of a Directory. Zero values are defaults.
type Options struct {
	MaxAddresses int           // of remote runtimes; 2^20 + 2^17
	MaxRuntimes  int           // 2^17
	MaxListed    int           // addresses that one runtime with a P2P connection may claim; 2^17
	MaxAnnounced int           // that one without such a connection may announce; 2^12. All of them together 16 times that
	CacheTime    time.Duration // how long an address is kept after it was learned, or after its runtime's connection ended; 10 min
	// May says whether an address may be at a runtime that claims it. It must be quick. Without it, it may.
	May func(address, runtime message.URL) bool
}

// WithDefaults is o with its defaults.
func (o Options) WithDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxAddresses, 1<<20 + 1<<17}, {&o.MaxRuntimes, 1 << 17}, {&o.MaxListed, 1 << 17}, {&o.MaxAnnounced, 1 << 12}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.CacheTime <= 0 {
		o.CacheTime = 10 * time.Minute
	}
	if o.May == nil {
		o.May = func(_, _ message.URL) bool { return true }
	}
	return o
}

// Directory knows remote runtimes and their addresses. Make it with [New].
type Directory struct {
	opts      Options
	addresses *table.Table[Address]
	runtimes  *table.Table[*Runtime]
	changes   atomic.Uint64 // counts changes, see Version
	givenUp   givenUp

	// The writer's own.
	claims    admission.Quota // bytes of claimed addresses
	announced int             // addresses known only from announcements
	swept     int             // the next shard to sweep
}

// claimsAllBytes bounds the memory for the claims of all runtimes; beyond it a new claim replaces others.
const claimsAllBytes = 96 << 20

// New makes an empty Directory.
func New(o Options) *Directory {
	return &Directory{opts: o.WithDefaults(), addresses: table.New[Address](), runtimes: table.New[*Runtime](),
		claims: admission.Quota{All: claimsAllBytes}}
}

// Version changes whenever an address moves or is forgotten, and with [Directory.Changed]. An answer that was read at an
// earlier version may be wrong.
func (d *Directory) Version() uint64 { return d.changes.Load() }

// Changed changes the version, because something else that answers depend on has changed.
func (d *Directory) Changed() { d.changes.Add(1) }

// Addresses is the number of known addresses.
func (d *Directory) Addresses() int { return d.addresses.Len() }

// Runtimes is the number of known runtimes.
func (d *Directory) Runtimes() int { return d.runtimes.Len() }

// Announced is the number of addresses known only from announcements. The writer calls it.
func (d *Directory) Announced() int { return d.announced }

// Runtime returns the entry of a remote runtime. The URL must be canonical, and a runtime's, not a component's.
func (d *Directory) Runtime(url message.URL) (*Runtime, bool) { return d.runtimes.Get(url) }

// Find returns what is known of an address; key is its [Key].
func (d *Directory) Find(key message.URL) (Address, bool) { return d.addresses.Get(key) }

// Direct returns the way to the address to, if it is a live P2P connection. join: the address is not in the connection's
// entry yet, see [Directory.Join].
func (d *Directory) Direct(to message.URL) (way *Way, join bool) {
	if to.IsRuntime() {
		if rt, ok := d.runtimes.Get(to.Runtime()); ok {
			if way = rt.Way(); way.Live() {
				return way, false
			}
		}
		return nil, false
	}
	a, ok := d.addresses.Get(Key(to))
	if !ok {
		return nil, false
	}
	if way = a.Runtime.Way(); !way.Live() {
		return nil, false
	}
	return way, a.joined != way.Number
}

// Each calls f for the runtimes until it returns false. The writer calls it.
func (d *Directory) Each(f func(*Runtime) bool) {
	d.runtimes.Each(0, table.Shards, func(in *table.Item[*Runtime]) bool { return f(in.Value) })
}

// Meet returns the entry of a remote runtime, a new one if need be. If there are too many, kept is false: the entry is not in
// the directory, and messages can only use the relay. The writer calls it.
func (d *Directory) Meet(url message.URL) (rt *Runtime, kept bool) {
	if rt, ok := d.runtimes.Get(url); ok {
		return rt, true
	}
	rt = &Runtime{url: url, dealings: &dealings{}}
	if d.runtimes.Len() >= d.opts.MaxRuntimes {
		rt.way.Store(&Way{})
		return rt, false
	}
	rt.way.Store(&Way{Wake: true})
	d.runtimes.Set(url, rt)
	return rt, true
}

// Lately tells whether the runtime has given up the address within the last two minutes, and nobody after it. led: until then the
// address led there, see [Address.Leads].
func (d *Directory) Lately(key, runtime message.URL, now time.Time) (its, led bool) {
	return d.givenUp.of(key, runtime, now)
}
