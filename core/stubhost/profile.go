package stubhost

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/internal/profile"
	"github.com/protofly/protofly/sdk/link"
)

// profileGrace is how long a profile may take beyond what it measures: the process is busy, or its link is.
const profileGrace = 15 * time.Second

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
	var proc *process
	if p != nil {
		p.mu.Lock()
		proc = p.proc
		p.mu.Unlock()
	}
	if proc == nil || proc.dying() {
		return fail(ErrNoProcess)
	}
	limit := profileGrace
	if kind == profile.CPU {
		limit += time.Duration(seconds) * time.Second
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	data, err := link.Profile(bounded, proc.rpc, kind, seconds)
	switch {
	case err == nil:
		return data, nil
	case proc.dying():
		return fail(fmt.Errorf("%w: it ended meanwhile", ErrNoProcess))
	case bounded.Err() != nil && ctx.Err() == nil:
		return fail(fmt.Errorf("it did not answer within %s", limit))
	}
	return fail(err)
}
