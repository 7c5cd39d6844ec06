package registry

import "github.com/protofly/protofly/sdk/message"

// What a remote runtime says of its addresses, and nobody else, is a claim: they may be as many and as long as it likes. So the
// memory for them is bounded, of each runtime and of all. What the Domain Registry knows is no claim.
const (
	claimBytes     = 64       // that an address counts with at least
	claimsRelayed  = 1 << 14  // times claimBytes, of a runtime without a P2P connection; of one with: Options.MaxListed
	claimsAllBytes = 96 << 20 // of all; then others' entries make room
	maxVictims     = 16       // entries that make room for one
)

func weight(key message.URL) int { return max(claimBytes, len(key)) }

// roomToClaim tells whether rem may claim one more address. It runs in the loop.
func (r *Registry) roomToClaim(rem *remote, key message.URL) bool {
	most := claimsRelayed
	if c := rem.conn; c != nil { // what it lists may come before the connection is live here
		most = r.opts.MaxListed
	}
	if rem.claimed+weight(key) > most*claimBytes {
		return false
	}
	for range maxVictims {
		if r.claimed+weight(key) <= claimsAllBytes {
			return true
		}
		if !r.makeRoom(key) {
			break
		}
	}
	return false
}

// count is called for every new entry of an address, uncount for every one that is replaced or dropped. They run in the loop.
func (r *Registry) count(key message.URL, a address) { r.add(key, a, 1) }

func (r *Registry) uncount(key message.URL, a address) { r.add(key, a, -1) }

func (r *Registry) add(key message.URL, a address, n int) {
	if a.source == announced {
		r.announcements += n
	}
	if a.source != registered {
		a.remote.claimed += n * weight(key)
		r.claimed += n * weight(key)
	}
}
