package stubtest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Post posts m on the stub's MiniBus, as the core does.
func (l *Link) Post(m message.Message) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), l.o.Patience)
	defer cancel()
	if err := l.run.post(ctx, m); err != nil {
		l.t.Fatalf("stubtest: post: %v; %s", l.explain(err), l.story())
	}
}

// Request posts m and returns the stub's final response.
func (l *Link) Request(m message.Message) message.Message {
	l.t.Helper()
	answer, err := l.run.requests.Do(context.Background(), m, l.run.post, nil)
	if err != nil {
		l.t.Fatalf("stubtest: request: %v; %s", l.explain(err), l.story())
	}
	return answer
}

func (l *Link) explain(err error) error {
	if errors.Is(err, link.ErrClosed) {
		return errEnded
	}
	return err
}

// Next waits for the first message for which match returns true, among those that no Next has returned yet. Messages
// before it stay for later calls.
func (l *Link) Next(what string, match func(m message.Message) bool) (m message.Message) {
	l.t.Helper()
	l.wait(what, func() bool {
		n := slices.IndexFunc(l.run.messages, match)
		if n >= 0 {
			m = l.run.messages[n]
			l.run.messages = slices.Delete(l.run.messages, n, n+1)
		}
		return n >= 0
	})
	return m
}

// Status waits for a status event of the stub: about a peer's runtime, or with resource "" about itself. It returns
// its description.
func (l *Link) Status(resource message.URL, value message.Status) (desc string) {
	l.t.Helper()
	l.Next("status "+value.String()+" "+string(resource), func(m message.Message) bool {
		e, ok := statusOf(l.URL, m)
		if ok && e.Value == value && e.Resource.Canonical() == resource.Canonical() {
			desc = e.Desc
			return true
		}
		return false
	})
	return desc
}

// statusEvent is the body of a status event (specification, "Status").
type statusEvent struct {
	Value    message.Status
	Resource message.URL
	Desc     string
}

func statusOf(stub message.URL, m message.Message) (e statusEvent, ok bool) {
	if m.To.Canonical() != stub.Canonical().Join("status") || m.Decode(&e) != nil || e.Value == 0 {
		return e, false
	}
	return e, true
}

// Door waits until the stub has opened the door.
func (l *Link) Door(url message.URL) {
	l.t.Helper()
	l.door(url)
}

func (l *Link) door(url message.URL) (d *openDoor) {
	l.t.Helper()
	l.wait("door "+string(url), func() bool {
		d = l.run.doors[url.Canonical()]
		return d != nil
	})
	return d
}

// NoDoor waits until the door is closed.
func (l *Link) NoDoor(url message.URL) {
	l.t.Helper()
	l.wait("door "+string(url)+" to close", func() bool { return l.run.doors[url.Canonical()] == nil })
}

// Send sends frames by the door, when it is open.
func (l *Link) Send(door message.URL, frames ...sdk.Frame) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), l.o.Patience)
	defer cancel()
	if err := l.door(door).lane.Send(ctx, frames...); err != nil {
		l.t.Fatalf("stubtest: send by %s: %v; %s", door, l.explain(err), l.story())
	}
}

// Recv waits for the next frame that the stub received by the door.
func (l *Link) Recv(door message.URL) (f sdk.Frame) {
	l.t.Helper()
	d := l.door(door)
	l.wait("a frame by "+string(door), func() bool {
		if len(d.frames) == 0 {
			return false
		}
		f, d.frames = d.frames[0], d.frames[1:]
		return true
	})
	return f
}

// Stop asks the stub to end, and waits until it has.
func (l *Link) Stop() {
	l.t.Helper()
	l.host.conn.Control(&linkpb.Frame{Instance: l.run.number, Kind: &linkpb.Frame_Stop{Stop: &linkpb.Stop{}}})
	if err := l.Ended(); err != nil {
		l.t.Errorf("stubtest: asked to end, the stub ended with %v", err)
	}
}

// Ended waits until the stub has ended and returns its error: nil where it was asked to.
func (l *Link) Ended() error {
	l.t.Helper()
	l.wait("the stub to end", func() bool { return l.run.ended })
	l.run.mu.Lock()
	defer l.run.mu.Unlock()
	if l.run.err != "" {
		return errors.New(l.run.err)
	}
	return nil
}

// Statuses is every status so far, about resource.
func (l *Link) Statuses(resource message.URL) (all []message.Status) {
	l.run.mu.Lock()
	defer l.run.mu.Unlock()
	for _, m := range l.run.seen {
		if e, ok := statusOf(l.URL, m); ok && e.Resource.Canonical() == resource.Canonical() {
			all = append(all, e.Value)
		}
	}
	return all
}

// quiet gives the stub time to do what it must not.
func (l *Link) quiet() { time.Sleep(50 * time.Millisecond) }
