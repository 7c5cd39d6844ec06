package stubhost

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/internal/profile"
)

// Profile has the process of a plug-in measure itself, and returns a file in the format of pprof; see profile.Take. What
// the plug-in sends is bounded, and so is its time; nobody looks at what is in it. The error is ctx's, or wraps
// [ErrNoProcess], or link.ErrNoProfiles where the plug-in cannot, or says why it did not.
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
