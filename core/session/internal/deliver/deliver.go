package deliver

import (
	"bytes"
	"context"
	"math"
	"sync/atomic"

	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Options are where messages go.
type Options struct {
	Acceptor Acceptor
	Trace    *trace.Hub // is told of each message that has come; nil: nobody
}

// Host is the owner of a [Deliverer].
type Host interface {
	// Refused is told that the peer has sent something that is no message.
	Refused(why error)
	// Claimed is called before a batch with Claims is delivered: the owner passes on what the peer has claimed.
	Claimed()
	// Go runs f in a goroutine that the owner waits for.
	Go(f func())
}

// Deliverer takes the messages of one remote runtime out of batches, one after the other. One goroutine at a time calls
// [Deliverer.Deliver]; the other methods may be called from others meanwhile.
type Deliverer struct {
	o      Options
	host   Host
	life   context.Context // ends with the runtime
	remote message.URL
	source uint32 // the remote runtime, in receipts

	parser message.Parser
	run    []minibus.Delivery // messages one behind the other that have all the same but their IDs and bodies
	again  bool               // the first of run has been tried before
	to     wire.Key           // of the last message
	count  int                // how many messages, up to it, have the same

	door     atomic.Pointer[message.URL] // by which the last frame came
	received atomic.Uint64               // messages, before a listener has them
	backlog  atomic.Pointer[backlog]     // nil: no destination is behind
}

// New makes the deliverer of a remote runtime, which is called source in receipts. life is the context of all deliveries.
func New(life context.Context, o Options, host Host, remote message.URL, source uint32) *Deliverer {
	return &Deliverer{o: o, host: host, life: life, remote: remote, source: source}
}

// CameBy notes the door by which the peer's last frame came.
func (w *Deliverer) CameBy(door message.URL) {
	if before := w.door.Load(); before == nil || *before != door {
		fresh := door
		w.door.Store(&fresh)
	}
}

// Received is how many messages were given to their listeners, or will be next.
func (w *Deliverer) Received() uint64 { return w.received.Load() }

// Rest gives back the memory of what is not needed now. Nobody delivers.
func (w *Deliverer) Rest() {
	w.parser, w.run, w.to, w.count = message.Parser{}, nil, wire.Key{}, 0
	if h := w.backlog.Load(); h != nil && !h.queue.Busy() {
		w.backlog.Store(nil)
	}
}

// step is how delivering went.
type step uint8

const (
	on    step = iota
	stuck      // something has to be waited for
	ended      // the runtime ends
)

// Deliver delivers the messages of p. over: the runtime ends. Where p is delivered by whoever brought it, it stops where
// something would have to be waited for; left is what has not been delivered then.
func (w *Deliverer) Deliver(p *receiver.Batch) (left receiver.Batch, over bool) {
	if p.Claims {
		w.host.Claimed()
	}
	w.room(p)
	routing := p.Routing
	if routing != nil {
		w.parser.Routing(routing)
	}
	number := p.First
	for items, rest := p.Items, []byte(nil); len(items) > 0; number, items = number+1, rest {
		var one wire.Item
		var ok bool
		if one, rest, ok = wire.Cut(items, len(routing)); !ok {
			break // cannot be: Receive has checked it
		}
		if one.Size == 0 {
			continue
		}
		if one.Routing != nil {
			if w.flush(p) == ended {
				return left, true
			}
			routing = one.Routing
			w.parser.Routing(routing)
		}
		in := w.next()
		in.Receipt = minibus.Receipt{By: p.By, Number: number, Cost: uint32(one.Size + wire.MessageCost), Source: w.source}
		if err := w.parser.OwnTo(&in.Message, one.Own); err != nil {
			w.malformed(err)
			continue
		}
		if number == p.First {
			w.again = p.Again
		}
		if !p.Here && len(w.run) < maxRun {
			continue
		}
		switch w.flush(p) {
		case stuck:
			left = receiver.Batch{Items: items, Routing: routing, First: number, By: p.By, Again: true, Lent: p.Lent, Memory: p.Memory}
			left.Own()
			return left, false
		case ended:
			return left, true
		}
	}
	return left, w.flush(p) == ended
}

// room sees to it that there is memory for a run. Whoever brought the batch delivers one message after the other.
func (w *Deliverer) room(p *receiver.Batch) {
	size := maxRun
	if p.Here {
		size = 1
	}
	if cap(w.run) < size {
		w.run = make([]minibus.Delivery, 0, size)
	}
}

// next is the place of the next message in the run.
func (w *Deliverer) next() *minibus.Delivery {
	n := len(w.run)
	w.run = w.run[:n+1]
	return &w.run[n]
}

// malformed refuses the last of the run: it is no message.
func (w *Deliverer) malformed(why error) {
	last := len(w.run) - 1
	receipt := w.run[last].Receipt
	w.run[last] = minibus.Delivery{}
	w.run = w.run[:last]
	w.host.Refused(why)
	receipt.Refused(message.CodeBadRequest)
}

// flush delivers the run.
func (w *Deliverer) flush(p *receiver.Batch) (how step) {
	if len(w.run) == 0 {
		return on
	}
	if w.life.Err() != nil {
		how = ended
	} else {
		how = w.hand(p)
	}
	clear(w.run)
	w.run, w.again = w.run[:0], false
	return how
}

// hand gives the run to its destination, or to the queue of one that is behind. Where there are too many of these all
// wait, or, in a batch that is delivered by whoever brought it, it is stuck.
func (w *Deliverer) hand(p *receiver.Batch) step {
	run := w.run
	w.come(run, w.again)
	key := wire.KeyOf(&run[0].Message)
	if w.behind(key) && w.holdUp(key, run, pinned(p)) {
		return on
	}
	w.keep(key, p)
	for {
		if run = run[w.o.Acceptor.TryAccept(w.remote, run):]; len(run) == 0 || w.holdUp(key, run, kept(p)) {
			return on
		}
		if p.Here {
			return stuck
		}
		w.o.Acceptor.Accept(w.life, w.remote, &run[0])
		if run = run[1:]; len(run) == 0 {
			return on
		}
	}
}

// come counts messages on their way to a listener, and says that they have come; again: that was done for the first.
func (w *Deliverer) come(run []minibus.Delivery, again bool) {
	if again {
		run = run[1:]
	}
	w.received.Add(uint64(len(run)))
	if w.o.Trace.Watched() {
		for i := range run {
			w.o.Trace.Message(trace.Arrive, run[i].Message, trace.Event{Peer: w.remote, Via: w.cameIn()})
		}
	}
}

// cameIn is the door of the peer's last frame.
func (w *Deliverer) cameIn() message.URL {
	if door := w.door.Load(); door != nil {
		return *door
	}
	return ""
}

// keep copies the bodies in the run that must not stay where they are.
func (w *Deliverer) keep(key wire.Key, p *receiver.Batch) {
	if key != w.to {
		w.to, w.count = key, 0
	}
	for i := range w.run {
		m := &w.run[i].Message
		if w.count++; p.Lent || w.count <= receiver.ShortRun && p.Memory > 4*len(m.Body) {
			m.Body = bytes.Clone(m.Body)
		}
		if !p.Lent && w.count > receiver.ShortRun {
			w.count += len(w.run) - i - 1
			return
		}
	}
}

// behind tells whether messages wait for that destination.
func (w *Deliverer) behind(key wire.Key) bool {
	h := w.backlog.Load()
	return h != nil && h.queue.Has(key)
}

// holdUp queues messages to one destination, as add does.
func (w *Deliverer) holdUp(key wire.Key, run []minibus.Delivery, memory int) bool {
	h := w.backlog.Load()
	if h == nil {
		h = newBacklog(func(f func(context.Context)) { w.host.Go(func() { f(w.life) }) }, w.work)
		w.backlog.Store(h)
	}
	return h.add(key, run, memory)
}

// work delivers what waits for one destination.
func (w *Deliverer) work(ctx context.Context, _ wire.Key, next func() (minibus.Delivery, bool)) {
	var d minibus.Delivery
	var ok bool
	for d, ok = next(); ok; d, ok = next() {
		w.o.Acceptor.Accept(ctx, w.remote, &d)
	}
}

// Behind calls f for each destination that is behind, with what waits for it here. f must not use the deliverer.
func (w *Deliverer) Behind(f func(to message.URL, messages, bytes int)) {
	if h := w.backlog.Load(); h != nil {
		h.queue.Each(func(key wire.Key, messages, bytes int) { f(key.URL, messages, bytes) })
	}
}

// lentMemory is what is said of bodies in memory that is somebody else's.
const lentMemory = math.MaxInt

// pinned is the memory that a body in p keeps.
func pinned(p *receiver.Batch) int {
	if p.Lent {
		return lentMemory
	}
	return p.Memory
}

// kept is pinned for bodies that Deliverer.keep has seen.
func kept(p *receiver.Batch) int {
	if p.Lent {
		return 0
	}
	return p.Memory
}
