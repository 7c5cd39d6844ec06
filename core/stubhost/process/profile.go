package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/profile"
)

// ErrNoProcess is the error where something is asked of a process that has ended.
var ErrNoProcess = errors.New("it does not run at present")

// profileGrace is how long a profile may take beyond what it measures: the process is busy, or its link is.
const profileGrace = 15 * time.Second

// Profile has the process measure itself, and returns a file in the format of pprof. What the plug-in sends is bounded, and
// so is its time. The error is ctx's, or wraps [ErrNoProcess] or link.ErrNoProfiles, or says why the plug-in did not.
func (pr *Process) Profile(ctx context.Context, kind profile.Kind, seconds int) ([]byte, error) {
	if pr.Dying() {
		return nil, ErrNoProcess
	}
	limit := profileGrace
	if kind == profile.CPU {
		limit += time.Duration(seconds) * time.Second
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	data, err := link.Profile(bounded, pr.rpc, kind, seconds)
	switch {
	case err == nil:
		return data, nil
	case pr.Dying():
		return nil, fmt.Errorf("%w: it ended meanwhile", ErrNoProcess)
	case bounded.Err() != nil && ctx.Err() == nil:
		return nil, fmt.Errorf("it did not answer within %s", limit)
	}
	return nil, err
}
