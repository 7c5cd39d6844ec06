package hyperty

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/sdk/message"
)

// with is a hyperty in the hall.
func (h *hall) with(t *testing.T, name string) *Hyperty {
	t.Helper()
	one, err := h.Register(t.Context(), Registration{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = one.Close(context.Background()) })
	return one
}

// A message goes to each address of a list; each result says what became of it.
func TestBroadcast(t *testing.T) {
	hall := newHall(t)
	alice, bob, carl := hall.with(t, "alice"), hall.with(t, "bob"), hall.with(t, "carl")
	var got atomic.Int32
	count := func(_ context.Context, m Received) {
		if m.Text() == "hello" {
			got.Add(1)
		}
	}
	bob.Handle(count)
	carl.Handle(count)
	list := []message.URL{bob.URL(), "hyperty://example.com/nobody", "no address", carl.URL(), bob.URL()}
	results, err := alice.Broadcast(t.Context(), list, message.Update, "hello")
	if err != nil || len(results) != len(list) || got.Load() != 3 {
		t.Fatalf("%v, %d handled, %+v", err, got.Load(), results)
	}
	for i, r := range results {
		var undelivered *NotDelivered
		var wrong *message.URLError
		switch {
		case r.To != list[i]:
			t.Errorf("the result %d is of %s", i, r.To)
		case i == 1:
			if !errors.As(r.Err, &undelivered) || undelivered.Code != message.CodeNotFound || r.Outcome.State != Refused {
				t.Errorf("nobody: %+v", r)
			}
		case i == 2:
			if !errors.As(r.Err, &wrong) || r.Outcome.State != Refused {
				t.Errorf("no address: %+v", r)
			}
		case r.Err != nil || r.Outcome.State != Delivered:
			t.Errorf("%+v", r)
		}
	}
}

// What nobody could read is sent to nobody, and so is what goes to too many, or comes from a hyperty that is closed.
func TestBroadcastToNobody(t *testing.T) {
	hall := newHall(t)
	alice, bob := hall.with(t, "alice"), hall.with(t, "bob")
	bob.Handle(func(context.Context, Received) { t.Error("something was sent") })
	list := []message.URL{bob.URL()}
	if _, err := alice.Broadcast(t.Context(), list, message.Update, make(chan int)); err == nil {
		t.Error("a body that is no JSON")
	}
	if _, err := alice.Broadcast(t.Context(), list, message.Update, make([]byte, message.MaxBody)); !errors.Is(err, message.ErrTooLarge) {
		t.Errorf("a body that is too large: %v", err)
	}
	if _, err := alice.Broadcast(t.Context(), make([]message.URL, MaxBroadcast+1), message.Update, nil); err == nil {
		t.Error("too many addresses")
	}
	if results, err := alice.Broadcast(t.Context(), nil, message.Update, nil); err != nil || len(results) > 0 {
		t.Errorf("no address: %v, %v", results, err)
	}
	_ = alice.Close(t.Context())
	if _, err := alice.Broadcast(t.Context(), list, message.Update, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Of many, some never take their message: the others have theirs all the same, and the time of the caller bounds the rest.
func TestBroadcastPastSlowReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hall := newHall(t)
		alice := hall.with(t, "alice")
		var got atomic.Int32
		var list []message.URL
		closed := make(chan struct{})
		for i := range 2000 {
			h := hall.with(t, fmt.Sprintf("h%d", i))
			h.Handle(func(context.Context, Received) {
				if i%4 == 0 && i < 1600 {
					<-closed
				}
				got.Add(1)
			})
			list = append(list, h.URL())
		}
		ctx, cancel := context.WithCancel(t.Context())
		var results []BroadcastResult
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			results, err = alice.Broadcast(ctx, list, message.Update, nil)
		}()
		synctest.Wait()
		if got.Load() != 1600 {
			t.Errorf("%d of 1600 have theirs", got.Load())
		}
		cancel()
		<-done
		queued := 0
		for i, r := range results {
			if r.Outcome.State == Queued && errors.Is(r.Err, context.Canceled) {
				queued++
			} else if r.Err != nil {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if !errors.Is(err, context.Canceled) || queued != 400 {
			t.Errorf("%v, %d queued", err, queued)
		}
		close(closed)
		synctest.Wait()
		if alice.tracked.used != 0 {
			t.Errorf("%d messages are tracked still", alice.tracked.used)
		}
	})
}

// Where all places of tracked messages are taken, a broadcast waits for one, and no longer than its caller wants.
func TestBroadcastWaitsForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hall := newHall(t)
		alice, bob := hall.with(t, "alice"), hall.with(t, "bob")
		bob.Handle(func(context.Context, Received) {})
		list := []message.URL{bob.URL(), bob.URL()}
		alice.mu.Lock()
		alice.tracked.used = MaxTracked
		alice.mu.Unlock()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if results, err := alice.Broadcast(ctx, list, message.Update, nil); err != context.Canceled || results[1].Outcome.State != Refused {
			t.Errorf("%v, %+v", err, results)
		}
		done := make(chan error)
		go func() {
			_, err := alice.Broadcast(t.Context(), list, message.Update, nil)
			done <- err
		}()
		synctest.Wait()
		alice.untrack()
		err := <-done
		synctest.Wait()
		alice.mu.Lock()
		used := alice.tracked.used
		alice.mu.Unlock()
		if err != nil || used != MaxTracked-1 {
			t.Errorf("%v, %d", err, used)
		}
	})
}
