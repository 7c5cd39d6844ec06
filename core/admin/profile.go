package admin

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/internal/profile"
)

// Profile measures where CPU time or memory goes, in the process of a plug-in, or, where plugin is "", in the runtime's own;
// see [api.Backend].
func (a *Admin) Profile(ctx context.Context, plugin, kind string, seconds int) ([]byte, error) {
	if plugin == "" {
		data, err := profile.Take(ctx, profile.Kind(kind), seconds)
		if err != nil {
			return nil, fmt.Errorf("profile of the runtime: %w", err)
		}
		return data, nil
	}
	if _, err := a.Catalogue.Find(plugin); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return a.Host.Profile(ctx, plugin, profile.Kind(kind), seconds)
}
