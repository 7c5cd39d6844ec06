package stubhost

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/internal/profile"
)

// Profile asks the process of a plug-in for a profile of itself, and returns a file in the format of pprof; see profile.Take.
// The size of the file and the time are limited; its content is not checked. The error is ctx's, or wraps
// [ErrNoProcess], or link.ErrNoProfiles where the plug-in has no profiles, or says why it sent none.
func (h *Host) Profile(ctx context.Context, plugin string, kind profile.Kind, seconds int) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("profile of the plug-in %s: %w", plugin, err) }
	if err := profile.Check(kind, seconds); err != nil {
		return fail(err)
	}
	h.mu.RLock()
	p := h.plugins[plugin]
	h.mu.RUnlock()
	var proc *process.Process
	if p != nil {
		p.mu.Lock()
		proc = p.proc
		p.mu.Unlock()
	}
	if proc == nil {
		return fail(ErrNoProcess)
	}
	data, err := proc.Profile(ctx, kind, seconds)
	if err != nil {
		return fail(err)
	}
	return data, nil
}
