package node

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/sdk/message"
)

// weights are how much a table has: in all; for each term that somebody is bounded by, of a runtime ("r:") and of an
// address ("s:"); and for the terms that entries are looked up by, the bytes of their JSON alone. The table's lock guards
// them.
type weights struct {
	rows  int
	bytes int64
	of    map[string]int64
}

// rowOverhead and termOverhead are about what a row, and each term that it is found by, take in memory and on the disk
// besides their text.
const (
	rowOverhead  = 256
	termOverhead = 128
)

// weight is what a row with these terms counts for.
func weight(terms []string, size int) int64 {
	return int64(size + rowOverhead + termOverhead*len(terms))
}

// add counts a row (by is 1) or takes one away (by is -1, and so is the sign of size).
func (w *weights) add(terms []string, size, by int) {
	bytes := int64(by) * weight(terms, by*size)
	w.rows += by
	w.bytes += bytes
	for _, term := range terms {
		counts := int64(size)
		switch kind, _, _ := strings.Cut(term, ":"); kind {
		case "r", "s":
			counts = bytes
		case "scheme", "user", "idp", "name":
		default:
			continue
		}
		if w.of == nil {
			w.of = map[string]int64{}
		}
		if w.of[term] += counts; w.of[term] <= 0 {
			delete(w.of, term)
		}
	}
}

// size is the number of rows and their weight; weighs is what is counted for a term.
func (t *table[T]) size() (rows int, bytes int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.weights.rows, t.weights.bytes
}

func (t *table[T]) weighs(term string) int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.weights.of[term]
}

// growth is what a write would add to the state.
type growth struct {
	rows          int
	bytes         int64
	runtime, from string // terms; from is "" where no address is counted
}

// varying is a row of which a part changes with every sign of life, and is now a few bytes longer and now shorter.
type varying interface{ varies() int }

// sizeOf is what a row counts for whose JSON has so many bytes: a sign of life makes it no larger.
func sizeOf(value any, bytes int) int {
	if v, ok := value.(varying); ok {
		return bytes - v.varies()
	}
	return bytes
}

// varies is how long the entry's status and times are.
func (r *registration) varies() int {
	size := len(r.Status) + len(strconv.Itoa(r.Expires)) + len(r.Started.Format(time.RFC3339Nano)) + len(r.Modified.Format(time.RFC3339Nano))
	if !r.Since.IsZero() {
		size += len(`,"since":""`) + len(r.Since.Format(time.RFC3339Nano))
	}
	return size
}

// note is a row that the node writes by itself about what it has let in before: it counts, and is not refused.
type note interface{ note() bool }

// note tells whether the row says when a runtime was last seen: without it a full state would free the addresses of
// runtimes that are there.
func (a *allocation) note() bool { return a.Address == "" }

// fits tells whether a row may be replaced by value, whose JSON is text. What does not make the state larger always may.
func (t *table[T]) fits(old row[T], value *T, text []byte) error {
	if t.room == nil || value == nil {
		return nil
	}
	if v, ok := any(value).(note); ok && v.note() {
		return nil
	}
	size := sizeOf(value, len(text))
	terms := t.terms(value)
	g := growth{bytes: weight(terms, size), rows: 1}
	if old.value != nil {
		g.rows, g.bytes = 0, g.bytes-weight(t.terms(old.value), old.size)
	}
	if g.bytes <= 0 {
		return nil
	}
	for _, term := range terms {
		switch {
		case strings.HasPrefix(term, "r:"):
			g.runtime = term
		case strings.HasPrefix(term, "s:"):
			g.from = term
		}
	}
	return t.room(g)
}

// noRoom is why the state is not made larger.
type noRoom struct{ *refusal }

func (e noRoom) Error() string { return e.text }

// room tells whether the state may grow. Several nodes of a cluster look at their own copies, so that together they may go
// past a bound by what they write at the same moment.
func (n *Node) room(g growth) error {
	l := n.opts.Limits
	rows, all := n.size()
	runtimes, sources := n.weighs(g.runtime), n.weighs(g.from)
	switch {
	case g.runtime != "" && runtimes+g.bytes > l.RuntimeState:
		return noRoom{refuse(message.CodeTooMany, "the node keeps %d bytes of this runtime's addresses, entries and subscriptions, at most %d are kept; free some", runtimes, l.RuntimeState)}
	case g.from != "" && sources+g.bytes > l.AddressState:
		return noRoom{refuse(message.CodeTooMany, "the node keeps %d bytes of what came from your address, at most %d are kept; free some", sources, l.AddressState)}
	case all+g.bytes > l.State, rows+g.rows > l.Rows:
		return noRoom{refuse(message.CodeError, "the node's state is full: %d entries, %d bytes; its operator can raise limits.state and limits.rows", rows, all)}
	}
	return nil
}

// size is what the whole state has.
func (t *tables) size() (rows int, bytes int64) {
	for _, size := range []func() (int, int64){t.allocations.size, t.subscriptions.size, t.registrations.size, t.sessions.size} {
		r, b := size()
		rows, bytes = rows+r, bytes+b
	}
	return rows, bytes
}

// weighs is what the whole state has with a term.
func (t *tables) weighs(term string) int64 {
	return t.allocations.weighs(term) + t.subscriptions.weighs(term) + t.registrations.weighs(term) + t.sessions.weighs(term)
}

// sitesAddress stands between a site and its address in a sourceTerm, and siteBits is how long the prefix of an IPv6 site is: as
// much as one subscriber may have, and anybody may have for nothing.
const (
	sitesAddress = "."
	siteBits     = 48
)

// sourceTerm is by which rows that came from an address are found and counted; that of an IPv6 address begins with its site's.
// The address itself is not kept.
func (n *Node) sourceTerm(from quota.Source) string {
	if !from.IsValid() {
		return ""
	}
	term := func(p netip.Prefix) string { return backbone.Hash(n.opts.Domain + " " + p.String())[:16] }
	if from.Addr().Is4() {
		return term(from.Prefix)
	}
	return term(netip.PrefixFrom(from.Addr(), siteBits).Masked()) + sitesAddress + term(from.Prefix)
}

// withSource adds the term of the address that a row came from.
func withSource(terms []string, from string) []string {
	if from == "" {
		return terms
	}
	return append(terms, "s:"+from)
}

// asNoRoom reads an error of a table.
func asNoRoom(err error) *refusal {
	var full noRoom
	if errors.As(err, &full) {
		return full.refusal
	}
	return nil
}

// makeRoomEach is how many entries a sweep removes at most.
const makeRoomEach = 500

// makeRoom removes entries that are disconnected once the state is nearly full: first those of whoever has the most there,
// and of these the oldest. A runtime that comes back registers anew, and its addresses stay its own.
func (n *Node) makeRoom() {
	l := n.opts.Limits
	rows, bytes := n.size()
	if rows <= l.Rows/4*3 && bytes <= l.State/4*3 {
		return
	}
	type entry struct {
		key   string
		value *registration
		share int64
	}
	var list []entry
	n.registrations.each(func(key string, r *registration) {
		if r.Status != disconnected {
			return
		}
		e := entry{key, r, n.registrations.weighs("r:" + string(r.Owner))}
		if r.Source != "" {
			e.share = max(e.share, n.registrations.weighs("s:"+r.Source))
		}
		list = append(list, e)
	})
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.share, a.share), a.value.Modified.Compare(b.value.Modified))
	})
	for _, e := range list[:min(len(list), makeRoomEach)] {
		if rows, bytes = n.size(); n.ctx.Err() != nil || rows <= l.Rows/4*3 && bytes <= l.State/4*3 {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.Times.State)
		err := n.registrations.change(ctx, e.key, func(latest *registration) (*registration, error) {
			if latest != e.value {
				return latest, nil
			}
			return nil, nil
		})
		cancel()
		if err != nil {
			n.log.Warn("entry not removed", "url", e.value.URL, "error", err)
			return
		}
	}
}
