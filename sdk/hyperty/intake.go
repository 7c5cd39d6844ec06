package hyperty

import (
	"context"
	"errors"
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
	a := conn.last
	if a == nil || a.ref != ref {
		c.mu.Lock()
		a = c.attached[ref]
		c.mu.Unlock()
		if a == nil {
			return nil
		}
		conn.last = a
	}
	m, err := a.parser.Parse(data)
	cost := apiwire.Cost(len(data))
	if err != nil {
		conn.unread(a, data, cost, err)
		return nil
	}
	if m.Type != message.Response {
		return a.came(conn, incoming{m: m, cost: cost})
	}
	c.mu.Lock()
	if c.attached[ref] != a { // it has ended
		c.mu.Unlock()
		return nil
	}
	a.heard++
	conn.locked().owe(a)
	request := a.waiting[m.ID.Key()]
	asked := request != nil && minibus.Answers(request.to, m.From) // else it answers no request, whatever its ID
	if asked {
		m.To = request.from // the runtime may answer to the hyperty itself where it refuses another from
	} else {
		a.locked().take(incoming{m: m})
	}
	c.mu.Unlock()
	if asked {
		a.answer(m)
	}
	return nil
}

// unread drops a message that is none, and no other: its sender is told, and the window stays what it is.
func (conn *connection) unread(a *attached, data []byte, cost int, err error) {
	c := conn.client
	c.o.Log.Warn("message dropped: it is none", "url", a.url, "error", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attached[a.ref] != a { // it has ended
		return
	}
	if message.Salvage(data).Type == message.Response {
		a.heard++
	} else {
		conn.reading = true
		a.settling.done(a.settling.next(), cost, message.CodeBadRequest)
	}
	conn.locked().owe(a)
}

// came takes a message that is no response. Where no other waits and the listeners have room, they get it at once.
func (a *attached) came(conn *connection, in incoming) error {
	c, i := a.client, &a.intake
	c.mu.Lock()
	if c.attached[a.ref] != a { // it has ended
		c.mu.Unlock()
		return nil
	}
	if i.units+in.cost > maxIntake {
		c.mu.Unlock()
		return fmt.Errorf("the runtime sent more than the window for %s allows", a.url)
	}
	conn.reading = true
	in.number = a.settling.next()
	i.units += in.cost
	if !i.opened || i.lane.Busy() || c.closed {
		a.locked().take(in)
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	// Only this goroutine adds to the queue.
	n, full := a.bus.TryDeliver(in.m, a.receipt(&in))
	switch {
	case full:
		c.mu.Lock()
		a.locked().take(in)
		c.mu.Unlock()
	case n == 0:
		a.unheard(&in)
	}
	return nil
}

// receipt goes with a message to its listeners.
func (a *attached) receipt(in *incoming) minibus.Receipt {
	return minibus.Receipt{By: a, Number: in.number, Cost: uint32(in.cost)}
}

// unheard returns a message to which nobody listens, or not any more.
func (a *attached) unheard(in *incoming) {
	a.client.o.Log.Debug("nobody listens", "to", in.m.To, "type", in.m.Type)
	a.Settled(in.number, uint32(in.cost), message.CodeNotFound)
}

// Settled is called when a message was taken, or nobody takes it; see [minibus.Taker].
func (a *attached) Settled(number uint64, cost uint32, code int) {
	c := a.client
	c.mu.Lock()
	defer c.mu.Unlock()
	a.intake.units -= int(cost)
	if a.settling.done(number, int(cost), code) && c.conn != nil {
		c.conn.locked().owe(a)
	}
}

// Failed is called when nobody will take a message, or it is in doubt; see [minibus.Taker]. The runtime tells its sender.
func (a *attached) Failed(number uint64, cost uint32, _ message.Message, why error) {
	var known *message.ResponseError
	switch {
	case !errors.As(why, &known):
		a.Settled(number, cost, message.CodeNotFound)
	default:
		a.Settled(number, cost, known.Code)
	}
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

// pump gives the listeners what has come.
func (a *attached) pump() {
	c, i := a.client, &a.intake
	for {
		c.mu.Lock()
		batch := i.lane.Take()
		c.mu.Unlock()
		if batch == nil {
			return
		}
		for ; batch != nil; batch = c.intakes.Done(batch) {
			items := batch.Items()
			for n := range items {
				in := &items[n]
				switch {
				case in.cost == 0:
					a.bus.Deliver(c.ctx, in.m)
					c.mu.Lock()
					i.free--
					c.mu.Unlock()
				case !a.bus.Hand(c.ctx, in.m, a.receipt(in)):
					a.unheard(in)
				}
				in.m = message.Message{}
			}
		}
	}
}
