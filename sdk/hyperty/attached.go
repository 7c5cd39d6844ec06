package hyperty

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/protofly/protofly/sdk/hyperty/api"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// The life of an attached hyperty: asked → registered → asked (after each break) …; → closing → ended.
type phase uint8

const (
	asked phase = iota
	registered
	closing
	ended
)

// attached is one hyperty of a client: the bus that its Hyperty is made of, and its two windows.
type attached struct {
	client *Client
	ref    uint32
	wish   Registration
	bus    *minibus.MiniBus

	// Guarded by client.mu.
	url     message.URL // "" until it has been registered once
	state   phase
	err     error
	hyperty *Hyperty      // nil until the caller of Register has it
	pause   time.Duration // before the next try to register again
	lastID  uint64
	waiting map[message.ID]*request // without an answer, by the ID's key

	queue []outgoing // taken, not yet sent
	sent  []receipt  // sent, not yet confirmed
	used  int        // units of the window that queue and sent take
	dirty bool       // in the connection's list

	intake intake
}

// receipt is what is kept of a message to tell its poster that it failed.
type receipt struct {
	id       message.ID
	kind     message.Type
	from, to message.URL
	cost     int
}

// request is one that waits for its answer.
type request struct {
	receipt
	out bool // it has been queued, at least
}

func (r receipt) refuse(err error) message.Message {
	m := message.Message{ID: r.id, Type: r.kind, From: r.from, To: r.to}
	return m.Refuse(message.CodeUnavailable, "%s to %s: %v", r.kind, r.to, err)
}

type outgoing struct {
	receipt
	bytes []byte
}

var _ message.Bus = (*attached)(nil)

func newAttached(c *Client, ref uint32, r Registration) *attached {
	a := &attached{client: c, ref: ref, wish: r, waiting: map[message.ID]*request{}}
	// IDs start anywhere, so that an answer to an earlier process at this address meets no request of this one.
	a.lastID = uint64(rand.Uint32()) << 16
	a.bus = minibus.New(minibus.Options{Out: a.out, Timeout: c.o.Timeout})
	return a
}

// register asks the runtime for the hyperty. mu is held.
func (a *attached) register(conn *connection) {
	if a.state != asked && a.state != registered {
		return
	}
	a.state, a.dirty = asked, false
	name := a.wish.Name
	if a.url != "" {
		name = identifier(a.url)
	}
	conn.send(&api.ApplicationFrame{Frame: &api.ApplicationFrame_Register{Register: &api.Register{
		Ref: a.ref, Name: name, User: string(a.wish.User), Descriptor_: string(a.wish.Descriptor),
		Resources: a.wish.Resources, DataSchemes: a.wish.DataSchemes,
	}}})
}

// again asks once more after a pause, if the connection is still the same.
func (a *attached) again(conn *connection, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-conn.stream.Context().Done():
		return
	}
	a.client.mu.Lock()
	defer a.client.mu.Unlock()
	if a.client.conn == conn {
		a.register(conn)
	}
}

// Listen adds a listener; see [message.Bus].
func (a *attached) Listen(at message.URL, h message.Handler) (stop func()) {
	return a.bus.Listen(at, h)
}

// Post takes a message; see [message.Bus].
func (a *attached) Post(ctx context.Context, m message.Message) error {
	a.number(&m)
	return a.bus.Post(ctx, m)
}

// Request posts a message and waits for its response; see [message.Bus].
func (a *attached) Request(ctx context.Context, m message.Message) (message.Message, error) {
	a.number(&m)
	key := m.ID.Key()
	a.client.mu.Lock()
	if _, taken := a.waiting[key]; taken {
		a.client.mu.Unlock()
		return message.Message{}, fmt.Errorf("request %s to %s: its id is still waiting for a response: use another, or none", m.ID, m.To)
	}
	a.waiting[key] = &request{receipt: receipt{id: m.ID, kind: m.Type, from: m.From, to: m.To}}
	a.client.mu.Unlock()
	defer func() {
		a.client.mu.Lock()
		delete(a.waiting, key)
		a.client.mu.Unlock()
	}()
	return a.bus.Request(ctx, m)
}

func (a *attached) number(m *message.Message) {
	if m.ID.IsZero() {
		a.client.mu.Lock()
		a.lastID++
		m.ID = message.NumberID(a.lastID)
		a.client.mu.Unlock()
	}
}

// out is the way out of the bus: into the queue, when the window has room and the runtime is there.
func (a *attached) out(ctx context.Context, m message.Message) error {
	bytes := m.AppendBinary(make([]byte, 0, 64+len(m.From)+len(m.To)+len(m.Body)))
	cost := api.Cost(len(bytes))
	c := a.client
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		err := c.await(ctx, c.o.Wait, func() bool {
			return a.state == ended || a.state == registered && c.conn != nil && a.used < api.Window
		})
		if err == ErrDisconnected && c.conn != nil && a.state == registered {
			continue // it is there, only slow: that is ctx's to bound
		}
		if err == nil && a.state == ended {
			err = a.err
		}
		if err != nil {
			return fmt.Errorf("%s to %s: %w", m.Type, m.To, err)
		}
		break
	}
	a.used += cost
	a.queue = append(a.queue, outgoing{receipt{m.ID, m.Type, m.From, m.To, cost}, bytes})
	if r := a.waiting[m.ID.Key()]; r != nil {
		r.out = true
	}
	a.markDirty(c.conn)
	return nil
}

// markDirty has the connection send what is queued. mu is held.
func (a *attached) markDirty(conn *connection) {
	if !a.dirty {
		a.dirty = true
		conn.dirty = append(conn.dirty, a)
		conn.poke()
	}
}

// confirm takes the runtime's word that so many units have been worked off. mu is held.
func (a *attached) confirm(units int) {
	n := 0
	for n < len(a.sent) && units >= a.sent[n].cost {
		units -= a.sent[n].cost
		a.used -= a.sent[n].cost
		n++
	}
	if a.sent = a.sent[n:]; len(a.sent) == 0 {
		a.sent = nil
	}
}

// lost tells the posters of what the broken connection had been given; with queued, also of what still waits.
func (a *attached) lost(why error, queued bool) {
	c := a.client
	c.mu.Lock()
	gone := a.sent
	a.sent = nil
	if queued {
		for _, out := range a.queue {
			gone = append(gone, out.receipt)
		}
		a.queue, a.dirty = nil, false
	} else {
		why = fmt.Errorf("%w (%w)", errInDoubt, why)
	}
	kept := make(map[message.ID]bool, len(a.queue))
	for _, out := range a.queue {
		kept[out.id.Key()] = true
	}
	var answers []message.Message
	for key, r := range a.waiting { // also those that were confirmed: their answers do not come any more
		if r.out && !kept[key] {
			answers = append(answers, r.refuse(why))
		}
	}
	for _, r := range gone {
		a.used -= r.cost
		if a.waiting[r.id.Key()] == nil && r.kind != message.Response {
			a.take(incoming{m: r.refuse(why)})
		}
	}
	c.wake()
	c.mu.Unlock()
	for _, m := range answers {
		a.answer(m)
	}
}

// fail ends the hyperty: it has no address any more.
func (a *attached) fail(err error) {
	c := a.client
	c.mu.Lock()
	a.state, a.err = ended, err
	delete(c.attached, a.ref)
	h := a.hyperty
	c.wake()
	c.mu.Unlock()
	c.o.Log.Error("hyperty lost", "url", a.url, "error", err)
	a.lost(err, true)
	if h != nil {
		h.fail(err)
	}
}
