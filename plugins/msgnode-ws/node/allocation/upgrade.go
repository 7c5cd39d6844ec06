package allocation

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
)

// Upgrade replaces the rows of an earlier version, each for a block or a wished address, by one row for each address. Blocks
// come first: their addresses are random, so a wish for one of them was made later. It may be repeated, and done by several
// nodes at once.
func (a *Allocation) Upgrade(ctx context.Context) error {
	for _, wished := range []bool{false, true} {
		var err error
		a.state.Allocations.Each(func(key string, old *state.Allocation) {
			if len(old.Addresses) == 0 || old.Wished != wished || err != nil {
				return
			}
			for _, u := range old.Addresses {
				grantErr := a.Grant(ctx, state.Allocation{Runtime: old.Runtime, Address: u, Key: old.Key, Wished: wished, Seen: old.Seen, Source: old.Source})
				if errors.Is(grantErr, ErrConflict) {
					a.log.Warn("an address was given to two runtimes, the first one keeps it", "address", u, "kept", a.state.Owner(u), "lost", old.Runtime)
				} else if err == nil {
					err = grantErr
				}
			}
			if err == nil {
				err = a.state.Allocations.Change(ctx, key, func(*state.Allocation) (*state.Allocation, error) { return nil, nil })
			}
		})
		if err != nil {
			return fmt.Errorf("message node: addresses of an earlier version: %w", err)
		}
	}
	return nil
}
