package replica

import (
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// What waits on the way to one address before it is given up for the whole value.
const (
	MaxQueued      = 256      // updates
	MaxQueuedBytes = 1 << 20  // of their bodies
	maxBeforeEnd   = 64 << 10 // bytes that may wait when the object ends; more is dropped then
)

// current is the object as it is now, with the queues that have something to be sent of it.
type current struct {
	url   message.URL
	meta  object.Metadata // without data
	doc   object.Document
	ready []*Queue // that nobody sends from
}

// Snapshot is the object as it is now.
func (c *current) Snapshot() Snapshot { return Snapshot{c.url, c.meta, c.doc} }

// Queue is what waits to be sent of one object to one address: updates in their order, or the whole value in place of too
// many of them.
type Queue struct {
	of       *current
	from, to message.URL
	here     bool        // to a syncher of this runtime: updates name their object
	source   message.URL // not here: the object's reporter

	waiting []message.Message
	bytes   int  // of the bodies that wait
	whole   bool // the whole value comes first, and covers what was before it
	sending bool // somebody empties the queue, or has been asked to
	emptied []func()
}

// Item is what is to be sent next.
type Item struct {
	queue *Queue
	msg   message.Message
	whole *Snapshot // msg has to be made of it
}

// Message is the item as a message. It reads no state, so that encoding a large value needs no lock.
func (i Item) Message() message.Message {
	if i.whole != nil {
		return i.queue.message(object.WholeUpdate(i.whole.meta, i.whole.doc))
	}
	return i.msg
}

// Next takes out what is to be sent next. Where there is nothing it is false: then the queue is nobody's any more, and is
// among [Replica.Ready] when there is something again.
func (q *Queue) Next() (Item, bool) {
	if q.whole {
		q.whole = false
		now := q.of.Snapshot()
		return Item{queue: q, whole: &now}, true
	}
	if len(q.waiting) == 0 {
		q.sending, q.waiting = false, nil
		for _, f := range q.emptied {
			f()
		}
		q.emptied = nil
		return Item{}, false
	}
	msg := q.waiting[0]
	q.waiting[0] = message.Message{}
	q.waiting = q.waiting[1:]
	q.bytes -= len(msg.Body)
	return Item{queue: q, msg: msg}, true
}

// Emptied has f called, by [Queue.Next], when everything that waits was taken out and the last of it has been sent. f is called at
// once where nothing waits; it must be quick.
func (q *Queue) Emptied(f func()) {
	if !q.sending {
		f()
		return
	}
	q.emptied = append(q.emptied, f)
}

// Update adds an update.
func (q *Queue) Update(u object.Update) { q.update(q.message(u)) }

func (q *Queue) update(msg message.Message) {
	switch {
	case q.whole: // it will be in the value
	case len(q.waiting) >= MaxQueued || q.bytes+len(msg.Body) > MaxQueuedBytes:
		q.Whole()
	default:
		q.Add(msg)
	}
}

// Notice adds a notice, which has to be in the metadata too: it is left out where the whole value comes.
func (q *Queue) Notice(msg message.Message) { q.update(msg) }

// Whole adds the whole value, in place of everything that waits.
func (q *Queue) Whole() {
	q.waiting, q.bytes, q.whole = nil, 0, true
	q.ready()
}

// Add adds a message, behind everything that waits.
func (q *Queue) Add(msg message.Message) {
	q.waiting = append(q.waiting, msg)
	q.bytes += len(msg.Body)
	q.ready()
}

// end adds the message that the object is gone, behind the updates that wait, unless these are large: an object that is gone
// is not counted any more, so a slow observer could have any number of them wait.
func (q *Queue) end(msg message.Message) {
	if q.bytes > maxBeforeEnd || q.whole && q.of.doc.Size() > maxBeforeEnd {
		q.last(msg)
		return
	}
	q.Add(msg)
}

// last adds a message in place of everything that waits.
func (q *Queue) last(msg message.Message) {
	q.waiting, q.bytes, q.whole = nil, 0, false
	q.Add(msg)
}

func (q *Queue) ready() {
	if !q.sending {
		q.sending = true
		q.of.ready = append(q.of.ready, q)
	}
}

// message is the update as the destination wants it.
func (q *Queue) message(u object.Update) message.Message {
	msg := message.Message{Type: message.Update, From: q.from, To: q.to}
	if u.Resource = ""; q.here {
		u.Resource = q.of.url
	} else {
		msg.Source = q.source
	}
	msg.Body = message.Encode(u)
	return msg
}
