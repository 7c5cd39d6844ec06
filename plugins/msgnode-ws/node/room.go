package node

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

// noRoom is why the state is not made larger.
type noRoom struct{ *refusal }

func (e noRoom) Error() string { return e.text }

// room tells whether the state may grow. Several nodes of a cluster look at their own copies, so that together they may go
// past a bound by what they write at the same moment.
func (n *Node) room(g table.Growth) error {
	l := n.opts.Limits
	rows, all := n.size()
	runtimes, sources := n.weighs(g.Runtime), n.weighs(g.Source)
	switch {
	case g.Runtime != "" && runtimes+g.Bytes > l.RuntimeState:
		return noRoom{refuse(message.CodeTooMany, "the node keeps %d bytes of this runtime's addresses, entries and subscriptions, at most %d are kept; free some", runtimes, l.RuntimeState)}
	case g.Source != "" && sources+g.Bytes > l.AddressState:
		return noRoom{refuse(message.CodeTooMany, "the node keeps %d bytes of what came from your address, at most %d are kept; free some", sources, l.AddressState)}
	case all+g.Bytes > l.State, rows+g.Rows > l.Rows:
		return noRoom{refuse(message.CodeError, "the node's state is full: %d entries, %d bytes; its operator can raise limits.state and limits.rows", rows, all)}
	}
	return nil
}

// size is what the whole state has.
func (t *tables) size() (rows int, bytes int64) {
	for _, size := range []func() (int, int64){t.allocations.Size, t.subscriptions.Size, t.registrations.Size, t.sessions.Size} {
		r, b := size()
		rows, bytes = rows+r, bytes+b
	}
	return rows, bytes
}

// weighs is what the whole state has with a term.
func (t *tables) weighs(term string) int64 {
	return t.allocations.Weighs(term) + t.subscriptions.Weighs(term) + t.registrations.Weighs(term) + t.sessions.Weighs(term)
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
	n.registrations.Each(func(key string, r *registration) {
		if r.Status != disconnected {
			return
		}
		e := entry{key, r, n.registrations.Weighs("r:" + string(r.Owner))}
		if r.Source != "" {
			e.share = max(e.share, n.registrations.Weighs("s:"+r.Source))
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
		err := n.registrations.Change(ctx, e.key, func(latest *registration) (*registration, error) {
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
