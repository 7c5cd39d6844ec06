package stub

import (
	"context"
	"errors"
	"time"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Post sends a message to the stub. If the stub is being started again, it waits for Options.PostTimeout at most. The error is
// ctx's, or wraps [ErrNotDeployed], [ErrNotRunning] or link.ErrTooLarge.
func (s *Stub) Post(ctx context.Context, m message.Message) error {
	f := sdk.Frame{Payload: m.AppendBinary(nil)}
	late := time.NewTimer(s.o.PostTimeout)
	defer late.Stop()
	for {
		s.mu.Lock()
		to, changed := s.runs.current, s.changed
		var also *run
		if s.runs.two() {
			to, also = s.runs.receivers(&m, s.Role)
		}
		s.mu.Unlock()
		if also != nil {
			_ = also.lane.Send(ctx, f)
		}
		if to != nil {
			if m.Type == message.Response {
				to.status.Answer(&m)
			}
			if err := to.lane.Send(ctx, f); !errors.Is(err, link.ErrClosed) {
				return err
			}
		}
		select {
		case <-changed:
		case <-s.over:
			return ErrNotDeployed
		case <-late.C:
			return ErrNotRunning
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TryPost is [Stub.Post] if that does not block. Otherwise it returns false and sends nothing.
func (s *Stub) TryPost(m message.Message) bool {
	s.mu.Lock()
	to := s.runs.current
	var also *run
	if s.runs.two() {
		to, also = s.runs.receivers(&m, s.Role)
	}
	s.mu.Unlock()
	if to == nil || also != nil {
		return false
	}
	if m.Type == message.Response {
		to.status.Answer(&m)
	}
	sent, err := to.lane.TrySend(sdk.Frame{Payload: m.AppendBinary(nil)})
	return sent && err == nil
}

// Door returns the lane of an open door, or nil.
func (s *Stub) Door(url message.URL) *link.Lane {
	s.mu.Lock()
	current, older := s.runs.current, s.runs.older
	s.mu.Unlock()
	for _, r := range []*run{current, older} {
		if r != nil {
			if lane := r.door(url); lane != nil {
				return lane
			}
		}
	}
	return nil
}
