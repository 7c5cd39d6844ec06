package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/profile"
)

// ErrNoProcess is the error of a request to a process that has ended.
var ErrNoProcess = errors.New("it does not run at present")

// profileGrace is how long the process may take beyond the time that a profile measures, since it or its link may be busy.
const profileGrace = 15 * time.Second

// Profile asks the process for a profile of itself, and returns a file in the format of pprof. Its size and its time are limited.
// The error is ctx's, or wraps [ErrNoProcess] or link.ErrNoProfiles, or says why the plug-in sent none.
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
		return nil, fmt.Errorf("%w: it ended before it answered", ErrNoProcess)
	case bounded.Err() != nil && ctx.Err() == nil:
		return nil, fmt.Errorf("it did not answer within %s", limit)
	}
	return nil, err
}
