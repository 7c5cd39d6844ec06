package hyperty

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Limits of an intake. A runtime that exceeds the first breaks the protocol; beyond the second, responses that nobody
// waits for are dropped.
const (
	maxIntake    = apiwire.Window + message.MaxJSON/apiwire.Unit + 1
	maxResponses = 4096
)

// deliver takes a message from the runtime. A response overtakes the messages that wait: its request gets it at once.
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
	conn.locked().owe(a)
	request := a.waiting[m.ID.Key()]
	asked := request != nil && minibus.Answers(request.to, m.From) // else it answers no request, whatever its ID
	if !asked {
		a.locked().take(incoming{m: m})
	}
	c.mu.Unlock()
	if asked {
		a.answer(m)
	}
	return nil
}

// came takes a message that is not a response. If no other one waits and the listeners have room, they get it at once.
func (a *attached) came(conn *connection, in incoming) error {
	c, i := a.client, &a.intake
	c.mu.Lock()
	in.epoch = c.locked().epochOf(conn)
	if i.units+in.cost > maxIntake {
		c.mu.Unlock()
		return fmt.Errorf("the runtime sent more than the window for %s allows", a.url)
	}
	if !i.opened || i.lane.Busy() || c.closed {
		a.locked().take(in)
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
		a.locked().take(in)
		return nil
	}
	a.taken += in.cost
	conn.locked().owe(a)
	return nil
}

// answer gives a response to the request that waits for it, without ever waiting: where the request has just given
// up, and the listeners are busy, the response is dropped.
func (a *attached) answer(m message.Message) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	a.bus.Deliver(now, m)
}

// take queues a message for the listeners.
func (a *lockedAttached) take(in incoming) {
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

// start starts the intake's goroutine if begin says that it has work again.
func (a *lockedAttached) start(begin bool) {
	if begin && !a.client.closed {
		a.client.work.Go((*attached)(a).pump)
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

// credit lets the runtime send more, if the connection is still the one that brought the handled messages.
func (a *attached) credit(epoch uint64, units, free int) {
	c := a.client
	c.mu.Lock()
	defer c.mu.Unlock()
	a.intake.units -= units
	a.intake.free -= free
	if units > 0 && c.conn != nil && c.conn.epoch == epoch {
		a.taken += units
		c.conn.locked().owe(a)
		c.conn.poke()
	}
}
