package directory

import (
	"time"

	"github.com/protofly/protofly/core/admission"
	"github.com/protofly/protofly/core/registry/table"
	"github.com/protofly/protofly/sdk/message"
)

// Learned is the result of [Directory.Learn].
type Learned uint8

// The results.
const (
	Refused Learned = iota // the address is another runtime's, or there is no room for it
	Known                  // it was known already
	Entered                // it was not
	Joined                 // it is in the entry of the live connection from now on
)

// Learn enters an address of a remote runtime. A Domain Registry's entry overrides a claim; of two claims the first one
// stands. The writer calls it.
func (d *Directory) Learn(rt *Runtime, key message.URL, from Source, now time.Time) Learned {
	if from != Registered && !d.opts.May(key, rt.url) {
		return Refused
	}
	old, known := d.addresses.Get(key)
	if from == Announced && !known && !d.roomToAnnounce(rt) {
		return Refused
	}
	if from != Registered && !known && !d.roomToClaim(rt, key) {
		return Refused
	}
	moves := known && old.Runtime != rt
	if moves && from != Registered || !known && d.addresses.Len() >= d.opts.MaxAddresses && !d.makeRoom(key) {
		return Refused
	}
	if moves { // the table has a place for it already
		d.leave(key, old)
		known, old = false, Address{}
	}
	a, outcome := Address{Runtime: rt, joined: old.joined, Source: max(from, old.Source), until: seconds(now.Add(d.opts.CacheTime))}, Known
	if !known {
		rt.addresses++
		outcome = Entered
	}
	if w := rt.Way(); w.Live() && a.joined != w.Number {
		a.joined = w.Number
		rt.joined++
		outcome = Joined
	}
	if !known || a != old {
		if known {
			d.count(key, old, -1)
		}
		d.count(key, a, 1)
		d.addresses.Set(key, a)
	}
	if moves {
		d.Changed()
	}
	return outcome
}

// Join enters an address into the entry of its runtime's live connection. joined is false if there is no such connection, or
// the address was in it already. The writer calls it.
func (d *Directory) Join(key message.URL) (rt *Runtime, joined bool) {
	a, ok := d.addresses.Get(key)
	if !ok {
		return nil, false
	}
	w := a.Runtime.Way()
	if !w.Live() || a.joined == w.Number {
		return nil, false
	}
	a.joined = w.Number
	a.Runtime.joined++
	d.addresses.Set(key, a)
	return a.Runtime, true
}

// Forget drops an address. The writer calls it.
func (d *Directory) Forget(key message.URL) {
	if a, ok := d.addresses.Get(key); ok {
		d.leave(key, a)
		d.addresses.Delete(key)
		d.Changed()
	}
}

// GiveUp forgets an address that rt has given up, if it is rt's, and remembers that for [Directory.Lately]. The writer calls
// it.
func (d *Directory) GiveUp(rt *Runtime, key message.URL, now time.Time) {
	if a, ok := d.addresses.Get(key); ok && a.Runtime == rt {
		d.givenUp.add(key, rt.url, a.Leads(), now)
		d.Forget(key)
	}
}

// leave removes an address from the counts of its runtime.
func (d *Directory) leave(key message.URL, a Address) {
	a.Runtime.addresses--
	if a.joined != 0 && a.joined == a.Runtime.Way().Number {
		a.Runtime.joined--
	}
	d.count(key, a, -1)
}

const (
	claimBytes    = 64      // the least that an address counts
	claimsRelayed = 1 << 14 // times claimBytes may a runtime without a P2P connection claim; one with it: Options.MaxListed
	maxVictims    = 16      // entries that one new entry may replace

	maxAllAnnounced = 16 // times as much as one runtime without a P2P connection may all of these announce together
)

func weight(key message.URL) int { return max(claimBytes, len(key)) }

// roomToClaim tells whether rt may claim one more address.
func (d *Directory) roomToClaim(rt *Runtime, key message.URL) bool {
	rt.claims.Each = claimsRelayed * claimBytes
	if rt.Way().Number != 0 { // its list may come before the connection is live on this side
		rt.claims.Each = d.opts.MaxListed * claimBytes
	}
	no := d.claims.Look(&rt.claims, weight(key))
	for n := 0; no == admission.FullAll && n < maxVictims && d.makeRoom(key); n++ {
		no = d.claims.Look(&rt.claims, weight(key))
	}
	return no == admission.Room
}

// roomToAnnounce tells whether rt may announce one more address, of those that it may claim.
func (d *Directory) roomToAnnounce(rt *Runtime) bool {
	if rt.Way().Live() {
		return rt.addresses < d.opts.MaxListed
	}
	return rt.addresses < d.opts.MaxAnnounced && d.announced < maxAllAnnounced*d.opts.MaxAnnounced && d.addresses.Len() < d.opts.MaxAddresses
}

// count counts an entry in (n = 1), or one that is replaced or dropped out (n = -1).
func (d *Directory) count(key message.URL, a Address, n int) {
	if a.Source == Announced {
		d.announced += n
	}
	if a.Source != Registered {
		d.claims.Add(&a.Runtime.claims, n*weight(key))
	}
}

// makeRoom drops one of a few addresses that are near key in the table: the one that expires first.
func (d *Directory) makeRoom(key message.URL) bool {
	var victim message.URL
	oldest := uint32(0)
	d.addresses.Some(key, 8, func(in *table.Item[Address]) {
		if victim == "" || in.Value.until < oldest {
			victim, oldest = in.Key(), in.Value.until
		}
	})
	if victim == "" {
		return false
	}
	d.Forget(victim)
	return true
}
