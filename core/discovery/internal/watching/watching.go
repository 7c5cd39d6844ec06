// Package watching is which addresses are watched, by whom, and what is known of their presence.
//
// An address is read (its Domain Registry is asked) when somebody begins to watch it, when something says that it may have changed,
// and once in a while; never twice within [Options.Pause], whatever anybody says. Each change has a number; who asks names the last
// number that it has seen, and is told the newest presence of what has changed since. So nothing is queued.
package watching

import (
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/core/discovery/internal/version"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Options are the limits and times. All have to be set.
type Options struct {
	Life    string        // of this process: numbers of another one mean nothing
	Each    int           // addresses that one hyperty watches at most
	All     int           // addresses that all of them watch
	Pause   time.Duration // at least, between two reads of an address
	Recheck time.Duration // an address is read again after it, although nobody says that it has changed
	Grace   time.Duration // how long a Message Node may be away before that is told
	Retry   time.Duration // between two reads of an address whose Message Node cannot be asked, at least Pause; it doubles up to Recheck
}

// ErrTooMany: a hyperty, or all of them, would watch too many addresses.
var ErrTooMany = errors.New("too many addresses are watched")

// Watching is what is watched. Make it with [New].
type Watching struct {
	o       Options
	version version.Counter
	by      map[message.URL]*watched
	count   map[message.URL]int // how many addresses each hyperty watches
}

// watched is an address that somebody watches.
type watched struct {
	presence hyperty.Presence
	version  uint64                    // of its last change; 0: nothing is known yet
	by       map[message.URL]time.Time // who watches it, until when
	due      time.Time                 // when to read it
	readAt   time.Time                 // when the last read began
	retry    time.Duration             // after the next read that fails
	reading  bool
	again    bool // something has changed while it was read
}

// New makes a Watching of nothing.
func New(o Options) *Watching {
	return &Watching{o: o, version: version.Counter{Life: o.Life}, by: map[message.URL]*watched{}, count: map[message.URL]int{}}
}

// Len is how many addresses are watched.
func (w *Watching) Len() int { return len(w.by) }

// Watch notes that who watches the addresses, each of which is named once, until a time. begun are those that nobody has watched
// before. Where there is no room for them, those make room that who watches until idle at most: it does not wait for news of them; left
// are those that nobody watches then. Where that is not enough it fails, and nobody begins to watch anything.
func (w *Watching) Watch(now time.Time, who message.URL, addresses []message.URL, until, idle time.Time) (begun, left []message.URL, err error) {
	for _, u := range addresses { // so that they are not dropped to make room
		if one := w.by[u]; one != nil && one.by[who].Before(until) && !one.by[who].IsZero() {
			one.by[who] = until
		}
	}
	mine, fresh := 0, 0
	for _, u := range addresses {
		one := w.by[u]
		if one == nil {
			fresh++
		}
		if one == nil || one.by[who].IsZero() {
			mine++
		}
	}
	if w.count[who]+mine > w.o.Each || len(w.by)+fresh > w.o.All {
		left = w.dropIdle(who, idle)
	}
	begun = slices.DeleteFunc(slices.Clone(addresses), func(u message.URL) bool { return w.by[u] != nil })
	if w.count[who]+mine > w.o.Each || len(w.by)+len(begun) > w.o.All {
		return nil, left, ErrTooMany
	}
	for _, u := range begun {
		w.by[u] = &watched{presence: hyperty.Presence{Address: u, State: hyperty.Unknown}, by: map[message.URL]time.Time{}, due: now, retry: w.o.Retry}
	}
	for _, u := range addresses {
		if one := w.by[u]; one.by[who].Before(until) {
			if one.by[who].IsZero() {
				w.count[who]++
			}
			one.by[who] = until
		}
	}
	return begun, left, nil
}

// Rest notes that a hyperty does not wait for news of an address any more, and watches it until a time at most.
func (w *Watching) Rest(who, u message.URL, until time.Time) {
	if one := w.by[u]; one != nil && one.by[who].After(until) {
		one.by[who] = until
	}
}

// dropIdle drops what a hyperty watches until idle at most; who is "": what all do.
func (w *Watching) dropIdle(who message.URL, idle time.Time) (left []message.URL) {
	for u, one := range w.by {
		for by, until := range one.by {
			if (who == "" || by == who) && !until.After(idle) {
				left = append(left, w.drop(u, one, by)...)
			}
		}
	}
	return left
}

// Has tells whether anybody watches an address.
func (w *Watching) Has(u message.URL) bool { return w.by[u] != nil }

// Leave notes that a hyperty watches nothing any more. left are the addresses that nobody watches now.
func (w *Watching) Leave(who message.URL) (left []message.URL) {
	if w.count[who] == 0 {
		return nil
	}
	for u, one := range w.by {
		if _, his := one.by[who]; his {
			left = append(left, w.drop(u, one, who)...)
		}
	}
	return left
}

// Expire has those watch no more whose time is over. left are the addresses that nobody watches now.
func (w *Watching) Expire(now time.Time) (left []message.URL) { return w.dropIdle("", now) }

func (w *Watching) drop(u message.URL, one *watched, who message.URL) (left []message.URL) {
	delete(one.by, who)
	if w.count[who]--; w.count[who] == 0 {
		delete(w.count, who)
	}
	if len(one.by) > 0 {
		return nil
	}
	delete(w.by, u)
	return []message.URL{u}
}

// Version names all changes so far.
func (w *Watching) Version() string { return w.version.Text() }

// After reads what Version has given; 0: none of this process.
func (w *Watching) After(version string) uint64 { return w.version.After(version) }

// News is what has changed of the addresses after a number, as it is now.
func (w *Watching) News(addresses []message.URL, after uint64) []hyperty.Presence {
	var news []hyperty.Presence
	for _, u := range addresses {
		if one := w.by[u]; one != nil && one.version > after {
			news = append(news, one.presence)
		}
	}
	return news
}

// Due are addresses that are to be read now, at most so many, those first that have waited for longest. Each is to be answered by
// Took.
func (w *Watching) Due(now time.Time, limit int) []message.URL {
	var list []message.URL
	for u, one := range w.by {
		if !one.reading && !one.due.After(now) {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b message.URL) int { return w.by[a].due.Compare(w.by[b].due) })
	list = list[:min(len(list), max(limit, 0))]
	for _, u := range list {
		one := w.by[u]
		one.reading, one.again, one.readAt = true, false, now
	}
	return list
}

// Next is when an address is to be read that is not read yet; false: none is.
func (w *Watching) Next() (at time.Time, ok bool) {
	for _, one := range w.by {
		if !one.reading && (!ok || one.due.Before(at)) {
			at, ok = one.due, true
		}
	}
	return at, ok
}

// Took takes what a read of an address has found. told: that is new.
func (w *Watching) Took(now time.Time, u message.URL, found hyperty.Presence) (told bool) {
	one := w.by[u]
	if one == nil || !one.reading { // nobody watches it any more; or those who do began while it was read for others
		return false
	}
	one.reading = false
	was := one.presence
	is := found
	is.Address, is.Since = u, is.Since.UTC().Round(0) // values are compared
	if is.State == hyperty.Unknown {                  // nobody could be asked: what was known stays
		is.State, is.Since, is.Runtime, is.Confirmed = was.State, was.Since, was.Runtime, false
		one.due = now.Add(one.retry)
		one.retry = min(2*one.retry, w.o.Recheck)
	} else {
		one.due, one.retry = now.Add(w.o.Recheck), w.o.Retry
		is.Confirmed = true
		switch {
		case is.State == was.State && is.Runtime == was.Runtime: // its word on when may vary
			is.Since = was.Since
		case is.Since.IsZero() || is.Since.After(now) || is.Since.Before(was.Since):
			is.Since = now.UTC().Round(0)
		}
	}
	if one.again {
		one.due = one.readAt.Add(w.o.Pause)
	}
	if one.version > 0 && is == was {
		return false
	}
	one.presence, one.version = is, w.version.Next()
	return true
}

// Moved notes that an address may have changed.
func (w *Watching) Moved(now time.Time, u message.URL) {
	if one := w.by[u]; one != nil {
		one.again = one.reading
		one.sooner(latest(now, one.readAt.Add(w.o.Pause)))
	}
}

// NodeBack notes that the Message Node of a domain can be asked again. Its addresses are read one after the other, so many in a second.
func (w *Watching) NodeBack(now time.Time, domain string, perSecond int) {
	n := 0
	for u, one := range w.by {
		if u.NodeDomain() == domain {
			one.retry = w.o.Retry
			one.again = one.reading
			one.sooner(latest(now.Add(time.Duration(n)*time.Second/time.Duration(perSecond)), one.readAt.Add(w.o.Pause)))
			n++
		}
	}
}

// NodeAway notes that the Message Node of a domain cannot be asked. Its addresses are read when it stays away: others may know of them.
func (w *Watching) NodeAway(now time.Time, domain string) {
	for u, one := range w.by {
		if u.NodeDomain() == domain {
			one.sooner(latest(now.Add(w.o.Grace), one.readAt.Add(w.o.Pause)))
		}
	}
}

// sooner has the address read at a time, or before.
func (one *watched) sooner(at time.Time) {
	if at.Before(one.due) {
		one.due = at
	}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
