package receiver

import (
	"slices"

	"github.com/protofly/protofly/core/session/internal/wire"
)

const (
	// Claims of the peer that wait for the messages behind them to be delivered. Where there are MaxUntaken announcements no
	// more frames with messages are taken while messages wait; more ends than that are dropped, and believed longer. What one
	// frame brings fits into the other two, unless it is mostly announcements: then some are dropped, and looked up.
	MaxUntaken      = 1 << 8
	maxClaims       = 1 << 12
	maxUntakenBytes = 256 << 10
)

// claims are what the peer says of its addresses, as far as that is not taken yet.
type claims struct {
	coming []wire.Claim
	fresh  int // of them, those that are no ends
	size   int // of the addresses of these
}

// add takes a record of the peer that may be a claim.
func (a *claims) add(record []byte) {
	c, ok := wire.ParseClaim(record)
	switch {
	case !ok:
	case c.Ended && len(a.coming)-a.fresh < MaxUntaken:
		a.coming = append(a.coming, c)
	case !c.Ended && a.fresh < maxClaims && a.size < maxUntakenBytes:
		a.coming = append(a.coming, c)
		a.fresh++
		a.size += len(c.Address)
	}
}

// crowded tells whether many announcements of the peer are not taken yet.
func (a *claims) crowded() bool {
	return a.fresh >= MaxUntaken || a.size >= maxUntakenBytes/2
}

// ending tells whether something that the peer has given up is not taken yet.
func (a *claims) ending() bool {
	return slices.ContainsFunc(a.coming, func(c wire.Claim) bool { return c.Ended })
}
