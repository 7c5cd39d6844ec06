package hyperty

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

var (
	_ message.Bus   = (*attached)(nil)
	_ minibus.Taker = (*attached)(nil)
)

func newAttached(c *Client, ref uint32, r Registration) *attached {
	a := &attached{client: c, ref: ref, wish: r, waiting: map[message.ID]*request{},
		tracked: map[message.ID]*tracked{}}
	// IDs start at a random number, so that an answer to a request of an earlier process at this address matches none of this
	// one.
	a.lastID = uint64(rand.Uint32()) << 16
	a.bus = minibus.New(minibus.Options{Out: a.out, Timeout: c.o.Timeout})
	return a
}

// open starts the delivery of messages: the hyperty listens from now on.
func (a *attached) open(h *Hyperty) {
	c := a.client
	c.mu.Lock()
	a.bus.Own(a.url)
	a.hyperty, a.intake.opened = h, true
	lost, err := a.state == ended, a.err
	a.locked().start(a.intake.lane.Open())
	c.mu.Unlock()
	if lost { // in the meantime
		h.fail(err)
	}
}

func (a *attached) owner() *Hyperty {
	a.client.mu.Lock()
	defer a.client.mu.Unlock()
	return a.hyperty
}

// register asks the runtime for the hyperty.
func (a *lockedAttached) register(conn *connection) {
	if a.state != asked && a.state != registered {
		return
	}
	a.state, a.dirty, a.owing = asked, false, false
	name, resumed := a.wish.Name, a.wish.Resumed
	if a.url != "" {
		name, resumed = identifier(a.url), resumed || name == ""
	}
	conn.locked().send(&apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Register{Register: &apiwire.Register{
		Ref: a.ref, Name: name, User: string(a.wish.User), Descriptor_: string(a.wish.Descriptor),
		Resources: a.wish.Resources, DataSchemes: a.wish.DataSchemes, Ephemeral: a.wish.Ephemeral, Resumed: resumed,
	}}})
}

// identifier is the name under which url is registered again.
func identifier(url message.URL) string {
	return string(url[strings.LastIndexByte(string(url), '/')+1:])
}

// again asks for the registration once more after a pause, if the connection is still the same.
func (a *attached) again(conn *connection, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-conn.ctx.Done():
		return
	}
	a.client.mu.Lock()
	defer a.client.mu.Unlock()
	if a.client.conn == conn {
		a.locked().register(conn)
	}
}

// Listen adds a listener; see [message.Bus].
func (a *attached) Listen(at message.URL, h message.Handler) (stop func()) {
	return a.bus.Listen(at, h)
}

// ListenTaking adds a listener that settles receipts itself; see [New].
func (a *attached) ListenTaking(at message.URL, h minibus.TakingHandler) (stop func()) {
	return a.bus.ListenTaking(at, h)
}

// Post takes a message; see [message.Bus].
func (a *attached) Post(ctx context.Context, m message.Message) error {
	return a.enqueue(ctx, &m, false)
}

func (a *attached) number(m *message.Message) {
	if m.ID.IsZero() {
		a.client.mu.Lock()
		a.lastID++
		m.ID = message.NumberID(a.lastID)
		a.client.mu.Unlock()
	}
}

// out queues what the bus sends, as soon as the window has room and the runtime is connected.
func (a *attached) out(ctx context.Context, m message.Message) error {
	return a.enqueue(ctx, &m, false)
}

// Track posts m, and calls tell with its outcome; see [New].
func (a *attached) Track(ctx context.Context, m *message.Message, tell func(Outcome)) error {
	a.number(m)
	key := m.ID.Key()
	c := a.client
	c.mu.Lock()
	if a.tracked[key] != nil {
		c.mu.Unlock()
		return fmt.Errorf("%s %s to %s: a message with this id is tracked: use another, or none", m.Type, m.ID, m.To)
	}
	a.tracked[key] = &tracked{tell: tell}
	c.mu.Unlock()
	err := a.enqueue(ctx, m, true)
	if err != nil {
		c.mu.Lock()
		delete(a.tracked, key)
		c.mu.Unlock()
	}
	return err
}

// enqueue gives m a number, where it has none, and takes it as soon as the window has room and the runtime is there. What the runtime
// would refuse to read is refused here: the error is a *message.FieldError.
func (a *attached) enqueue(ctx context.Context, m *message.Message, track bool) error {
	if err := m.CheckBody(); err != nil { // before the lock, since it takes the longest
		return err
	}
	c := a.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := a.checker.CheckRouting(m); err != nil {
		return err
	}
	if m.ID.IsZero() {
		a.lastID++
		m.ID = message.NumberID(a.lastID)
	}
	to := destination{m.To, m.Type == message.Response}
	for {
		cost, by := apiwire.Cost(a.records.Message(a.ref, track, m)), a.window.by(to)
		if a.state == registered && c.conn != nil && a.window.room(by, cost) {
			a.window.take(by, cost)
			a.queue = append(a.queue, receipt{m.ID, m.Type, m.From, m.To, cost, by, track})
			break
		}
		a.records.Undo()
		if err := a.locked().room(ctx, m, to, cost); err != nil {
			return err
		}
	}
	if len(a.waiting) > 0 {
		if r := a.waiting[m.ID.Key()]; r != nil {
			r.out = true
		}
	}
	a.locked().markDirty(c.conn)
	return nil
}

// room waits until m, which takes cost units of the window, may be posted.
func (a *lockedAttached) room(ctx context.Context, m *message.Message, to destination, cost int) error {
	c := a.client
	for {
		err := c.locked().await(ctx, c.o.Wait, func() bool {
			return a.state == ended || a.state == registered && c.conn != nil && a.window.room(a.window.by(to), cost)
		})
		there := c.conn != nil && a.state == registered
		if err == ErrDisconnected && there {
			continue // the runtime is there, only slow: ctx limits this wait
		}
		if err == nil && a.state == ended {
			err = a.err
		}
		if err != nil && there && ctx.Err() != nil {
			return fmt.Errorf("%s to %s: %w: %d units that were posted to it wait in the runtime, %d in all: %w",
				m.Type, m.To, message.ErrBackpressure, *a.window.by(to), a.window.used, err)
		}
		if err != nil {
			return fmt.Errorf("%s to %s: %w", m.Type, m.To, err)
		}
		return nil
	}
}

// confirm frees the window of the posts that the runtime has processed.
func (a *lockedAttached) confirm(posts []apiwire.Span) error {
	for _, s := range posts {
		if s.N > uint64(a.sent.count) {
			return fmt.Errorf("the runtime confirms %d posts of %s, only %d were sent", s.N, a.url, a.sent.count)
		}
		for i := range s.N {
			if r, ok := a.sent.take(s.First + i); ok {
				a.window.free(r)
			}
		}
	}
	return nil
}

// settled handles the runtime's report of what became of a tracked message.
func (a *attached) settled(f *apiwire.Outcome) {
	id, err := message.ParseID([]byte(f.Id))
	if err != nil {
		return
	}
	c := a.client
	c.mu.Lock()
	t := a.tracked[id.Key()]
	delete(a.tracked, id.Key())
	c.mu.Unlock()
	if t != nil {
		t.tell(Outcome{State: DeliveryState(f.State), Code: int(f.Code), Reason: f.Reason})
	}
}

var errInDoubt = errors.New("the connection to the runtime broke before it was confirmed; it may have been sent on or not")

// lost reports to their senders the messages that were sent on the broken connection and not confirmed; with queued, also those
// that still wait.
func (a *attached) lost(why error, queued bool) {
	c := a.client
	c.mu.Lock()
	gone := a.sent.takeAll()
	a.posts, a.heard = 0, 0
	a.settling.begin()
	kept := make(map[message.ID]bool, len(a.queue))
	for _, out := range a.queue {
		kept[out.id.Key()] = true
	}
	doubt := fmt.Errorf("%w (%w)", errInDoubt, why)
	refuse := func(r receipt) message.Message {
		if kept[r.id.Key()] {
			return r.refuse(message.StateRefused, why)
		}
		return r.refuse(message.StateInDoubt, doubt)
	}
	if queued {
		gone = append(gone, a.queue...)
		a.queue, a.dirty = nil, false
		a.records.Drop()
	}
	var answers []message.Message
	for key, r := range a.waiting { // also those that were confirmed: their answers do not come any more
		if r.out && (queued || !kept[key]) {
			answers = append(answers, refuse(r.receipt))
		}
	}
	told := map[*tracked]Outcome{}
	for key, t := range a.tracked { // also those that were confirmed
		switch {
		case t.out && !kept[key]:
			told[t] = Outcome{State: InDoubt, Reason: doubt.Error()}
		case queued:
			told[t] = Outcome{State: Refused, Code: message.CodeUnavailable, Reason: why.Error()}
		default:
			continue
		}
		delete(a.tracked, key)
	}
	for _, r := range gone {
		a.window.free(r)
		if a.waiting[r.id.Key()] == nil && r.kind != message.Response {
			a.locked().take(incoming{m: refuse(r)})
		}
	}
	c.locked().wake()
	c.mu.Unlock()
	for _, m := range answers {
		a.answer(m)
	}
	for t, outcome := range told {
		t.tell(outcome)
	}
}

// fail ends the hyperty: it has no address any more.
func (a *attached) fail(err error) {
	c := a.client
	c.mu.Lock()
	a.state, a.err = ended, err
	delete(c.attached, a.ref)
	h := a.hyperty
	c.locked().wake()
	c.mu.Unlock()
	c.o.Log.Error("hyperty lost", "url", a.url, "error", err)
	a.lost(err, true)
	if h != nil {
		h.fail(err)
	}
}
