package hyperty

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// intake is what has come for a hyperty and waits for its listeners. Its goroutine runs only while there is something.
// It is guarded by the client's mu.
type intake struct {
	lane   work.Lane[incoming] // held until opened
	units  int                 // of the window that it takes
	free   int                 // messages in it that cost nothing: responses
	opened bool                // somebody listens
}

type incoming struct {
	m     message.Message
	cost  int // 0: of a response
	epoch uint64
}

// Limits of an intake. A runtime that exceeds the first breaks the protocol; beyond the second, responses that nobody
// waits for are dropped.
const (
	maxIntake    = apiwire.Window + message.MaxJSON/apiwire.Unit + 1
	maxResponses = 4096
)

// creditAt is after how many units the runtime is told, at the latest.
const creditAt = 64

// deliver takes a message from the runtime. A response goes past everything that waits: to the request, at once.
func (conn *connection) deliver(ref uint32, data []byte) error {
	c := conn.client
	c.mu.Lock()
	a := c.attached[ref]
	c.mu.Unlock()
	if a == nil {
		return nil
	}
	m, err := a.parser.Parse(data)
	if err != nil {
		return fmt.Errorf("from the runtime: %w", err)
	}
	cost := apiwire.Cost(len(data))
	if m.Type != message.Response {
		return a.came(conn, incoming{m, cost, 0})
	}
	c.mu.Lock()
	a.heard++
	conn.owe(a)
	request := a.waiting[m.ID.Key()]
	asked := request != nil && minibus.Answers(request.to, m.From) // else it is nobody's answer, whatever its ID
	if !asked {
		a.take(incoming{m: m})
	}
	c.mu.Unlock()
	if asked {
		a.answer(m)
	}
	return nil
}

// came takes a message that is no response. Where nothing waits, and the listeners have room, they get it at once.
func (a *attached) came(conn *connection, in incoming) error {
	c, i := a.client, &a.intake
	c.mu.Lock()
	in.epoch = c.epochOf(conn)
	if i.units+in.cost > maxIntake {
		c.mu.Unlock()
		return fmt.Errorf("the runtime sent more than the window for %s allows", a.url)
	}
	if !i.opened || i.lane.Busy() || c.closed {
		a.take(in)
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	// Only this goroutine adds to the queue.
	n, full := a.bus.TryDeliver(in.m)
	if n == 0 && !full {
		c.o.Log.Debug("nobody listens", "to", in.m.To, "type", in.m.Type)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if full {
		a.take(in)
		return nil
	}
	a.taken += in.cost
	conn.owe(a)
	return nil
}

// epochOf is the number of conn, which may not be in use yet. mu is held.
func (c *Client) epochOf(conn *connection) uint64 {
	if conn.epoch == 0 {
		return c.epoch + 1
	}
	return conn.epoch
}

// answer gives a response to the request that waits for it, without ever waiting: where the request has just given
// up, and the listeners are busy, the response is dropped.
func (a *attached) answer(m message.Message) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	a.bus.Deliver(now, m)
}

// take queues a message for the listeners. mu is held.
func (a *attached) take(in incoming) {
	i := &a.intake
	if in.cost == 0 {
		if i.free >= maxResponses {
			a.client.o.Log.Warn("response dropped: too many that nobody waits for", "from", in.m.From, "to", in.m.To)
			return
		}
		i.free++
	}
	i.units += in.cost
	if i.lane.Memory = &a.client.intakes; !i.opened {
		i.lane.Hold()
	}
	a.start(i.lane.Add(0, &in))
}

// start runs the intake where it begins to have work. mu is held.
func (a *attached) start(begin bool) {
	if begin && !a.client.closed {
		a.client.work.Go(a.pump)
	}
}

// pump gives the listeners what has come, and the runtime credit for it.
func (a *attached) pump() {
	c, i := a.client, &a.intake
	for {
		c.mu.Lock()
		batch := i.lane.Take()
		c.mu.Unlock()
		if batch == nil {
			return
		}
		var epoch uint64
		owed, free := 0, 0
		pay := func() {
			if owed+free > 0 {
				a.credit(epoch, owed, free)
			}
			owed, free = 0, 0
		}
		for ; batch != nil; batch = c.intakes.Done(batch) {
			items := batch.Items()
			for n := range items {
				in := &items[n]
				if in.epoch != epoch {
					pay()
					epoch = in.epoch
				}
				if !a.bus.Deliver(c.ctx, in.m) {
					c.o.Log.Debug("nobody listens", "to", in.m.To, "type", in.m.Type)
				}
				if owed += in.cost; in.cost == 0 {
					free++
				}
				if owed >= creditAt {
					pay()
				}
				in.m = message.Message{}
			}
		}
		pay()
	}
}

// credit lets the runtime send more, if it is still the connection that sent what has been worked off.
func (a *attached) credit(epoch uint64, units, free int) {
	c := a.client
	c.mu.Lock()
	defer c.mu.Unlock()
	a.intake.units -= units
	a.intake.free -= free
	if units > 0 && c.conn != nil && c.conn.epoch == epoch {
		a.taken += units
		c.conn.owe(a)
		c.conn.poke()
	}
}

// open lets messages in: the hyperty listens.
func (a *attached) open(h *Hyperty) {
	c := a.client
	c.mu.Lock()
	a.hyperty, a.intake.opened = h, true
	lost, err := a.state == ended, a.err
	a.start(a.intake.lane.Open())
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

// closeTime is how long a hyperty's end may take where the caller sets no limit.
const closeTime = 5 * time.Second

// close waits until the runtime has taken what was posted, then unregisters.
func (a *attached) close(ctx context.Context) error {
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	c := a.client
	c.mu.Lock()
	err := c.await(ctx, 0, func() bool { return len(a.queue)+a.sent.count == 0 || a.state == ended })
	left := len(a.queue) + a.sent.count
	if a.state != ended {
		a.state = closing
		if c.conn != nil {
			conn := c.conn
			conn.send(&apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Unregister{Unregister: &apiwire.Unregister{Ref: a.ref}}})
			_ = c.await(ctx, 0, func() bool { return a.state == ended || c.conn != conn })
		}
		a.state, a.err = ended, ErrClosed
	}
	delete(c.attached, a.ref)
	var told []*tracked
	for _, t := range a.tracked {
		told = append(told, t)
	}
	clear(a.tracked)
	c.wake()
	c.mu.Unlock()
	for _, t := range told {
		t.tell(Outcome{State: InDoubt, Reason: ErrClosed.Error()})
	}
	a.bus.Close()
	if err != nil && left > 0 {
		return fmt.Errorf("close %s: %d messages are in doubt, the runtime has not confirmed them: %w", a.url, left, err)
	}
	return nil
}

func (a *attached) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, closeTime)
}
