package core

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/internal/profile"
)

// Profile measures where CPU time or memory goes, in the process of a plug-in, or, where plugin is "", in the runtime's
// own: which is the application's too where the runtime is a library of it. It returns a file in the format of pprof.
// kind is "cpu", over so many seconds, 1 to 60, "allocs" or "heap". See internal/profile for what they are; a process takes
// one CPU profile at a time. A plug-in that runs but was not made with sdk may have none to give: the error says so.
func (rt *Runtime) Profile(ctx context.Context, plugin, kind string, seconds int) ([]byte, error) {
	if plugin == "" {
		data, err := profile.Take(ctx, profile.Kind(kind), seconds)
		if err != nil {
			return nil, fmt.Errorf("profile of the runtime: %w", err)
		}
		return data, nil
	}
	if _, err := rt.catalogue.Find(plugin); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return rt.host.Profile(ctx, plugin, profile.Kind(kind), seconds)
}
