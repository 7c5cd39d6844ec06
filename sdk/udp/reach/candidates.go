package reach

import (
	"errors"
	"fmt"
	"net/netip"
)

// How many addresses a peer may name where [Candidates] says nothing else.
const (
	MaxCandidates = 64
	MaxPorts      = 4 // at one IP address
)

// ErrTooMany is why an address is refused whose peer has named as many as it may, in all or at one IP address.
var ErrTooMany = errors.New("the peer has named too many addresses")

// Candidates are the addresses that one peer has named for one set-up. The zero value takes public addresses only.
// It is not for several goroutines at once.
type Candidates struct {
	Policy   Policy
	Max      int // of addresses; 0: [MaxCandidates]
	MaxPorts int // of ports at one IP address; 0: [MaxPorts]

	known map[netip.AddrPort]struct{}
	ports map[netip.Addr]int
}

// Add takes an address, and says whether it is new. An IPv4 address that is written as IPv6 counts as IPv4. The error is a
// *[Refusal] of the policy, or wraps [ErrTooMany]. An address that is refused does not count.
func (c *Candidates) Add(at netip.AddrPort) (bool, error) {
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if _, ok := c.known[at]; ok {
		return false, nil
	}
	if err := c.Policy.Check(at); err != nil {
		return false, err
	}
	if most := orElse(c.Max, MaxCandidates); len(c.known) >= most {
		return false, fmt.Errorf("%s is refused: %w: at most %d", at, ErrTooMany, most)
	}
	if most := orElse(c.MaxPorts, MaxPorts); c.ports[at.Addr()] >= most {
		return false, fmt.Errorf("%s is refused: %w: at most %d ports at one IP address", at, ErrTooMany, most)
	}
	if c.known == nil {
		c.known, c.ports = make(map[netip.AddrPort]struct{}), make(map[netip.Addr]int)
	}
	c.known[at] = struct{}{}
	c.ports[at.Addr()]++
	return true, nil
}

// Has says whether the address is one of them.
func (c *Candidates) Has(at netip.AddrPort) bool {
	_, ok := c.known[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())]
	return ok
}

// Len is how many addresses there are.
func (c *Candidates) Len() int { return len(c.known) }

func orElse(n, usual int) int {
	if n == 0 {
		return usual
	}
	return n
}
