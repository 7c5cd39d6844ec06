package hyperty

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// closeTime is how long a hyperty's end may take where the caller sets no limit.
const closeTime = 5 * time.Second

// close waits until the runtime has taken what was posted, then unregisters.
func (a *attached) close(ctx context.Context) error { return a.leave(ctx, false) }

// Release is close, and gives the hyperty's name up; see [New].
func (a *attached) Release(ctx context.Context) error { return a.leave(ctx, true) }

// leave ends the hyperty. With release the error says also why the name is not given up.
func (a *attached) leave(ctx context.Context, release bool) error {
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	c := a.client
	half, stop := halfOf(ctx) // the rest is for the runtime
	busy := a.quit(half)
	stop()
	c.mu.Lock()
	err := c.locked().await(ctx, 0, func() bool { return len(a.queue)+a.sent.count == 0 || a.state == ended })
	left := len(a.queue) + a.sent.count
	kept := a.locked().unregister(ctx, release)
	delete(c.attached, a.ref)
	var told []*tracked
	for _, t := range a.tracked {
		told = append(told, t)
	}
	clear(a.tracked)
	c.locked().wake()
	c.mu.Unlock()
	for _, t := range told {
		t.tell(Outcome{State: InDoubt, Reason: ErrClosed.Error()})
	}
	switch {
	case busy != nil:
		err = fmt.Errorf("close %s: a handler has not returned; what it has is in doubt: %w", a.url, busy)
	case err != nil && left > 0:
		err = fmt.Errorf("close %s: %d messages are in doubt, the runtime has not confirmed them: %w", a.url, left, err)
	default:
		err = nil
	}
	if release && kept != nil {
		err = errors.Join(err, fmt.Errorf("release %s: the name is not given up: %w", a.url, kept))
	}
	return err
}

// quit ends the handlers: their contexts end, and what waits for them is returned to the runtime, which tells the senders. The error
// says that one has not returned in ctx's time.
func (a *attached) quit(ctx context.Context) error {
	c := a.client
	closed := make(chan struct{})
	c.mu.Lock()
	a.intake.opened = true // what waits finds nobody listening
	a.locked().start(a.intake.lane.Open())
	c.mu.Unlock()
	c.work.Go(func() {
		defer close(closed)
		a.bus.Close()
	})
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unregister ends the hyperty at the runtime, and waits for the answer. The error says why a name is not given up that is to be.
func (a *lockedAttached) unregister(ctx context.Context, release bool) (kept error) {
	c, kept := a.client, ErrDisconnected
	if a.state == ended {
		return cmp.Or(a.err, ErrClosed)
	}
	a.state = closing
	if conn := c.conn; conn != nil {
		conn.control.Returned(&apiwire.Returned{Ref: a.ref, Code: message.CodeNotFound}) // what is under way to here will be returned
		conn.locked().send(&apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Unregister{Unregister: &apiwire.Unregister{Ref: a.ref, Release: release}}})
		err := c.locked().await(ctx, 0, func() bool { return a.state == ended || c.conn != conn })
		switch refused := (*message.ResponseError)(nil); {
		case a.released:
			kept = nil
		case errors.As(a.err, &refused) && refused.Code == message.CodeOK:
			kept = errTooOld
		default:
			kept = cmp.Or(a.err, err, ErrDisconnected)
		}
	}
	a.state, a.err = ended, ErrClosed
	return kept
}

// errTooOld says why a runtime does not know how a name is given up.
var errTooOld = errors.New("the runtime is of an earlier version, which keeps names")

// halfOf is ctx with half of the time that it has.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	until, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(until)/2)
}

func (a *attached) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, closeTime)
}
