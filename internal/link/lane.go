package link

import (
	"context"
	"io"
	"sync"
)

// Lane is a flow-controlled, ordered way for frames in both directions: lane 0 of an instance carries its messages,
// the others are its doors. One goroutine may receive, any number may send.
type Lane struct {
	conn           *Conn
	instance, door uint32

	// Guarded by conn.mu.
	credit int           // what may still be sent; the last frame may take it below 0
	more   chan struct{} // closed when credit came or the lane ended; nil while nobody waits

	ended chan struct{} // closed when nothing more is sent or arrives; what has arrived can be received

	mu     sync.Mutex
	in     []arrived // in[:head] have been received
	head   int
	store  store // has the payloads of in and taken, if the lane owns their memory
	window int   // bytes that the other side may still send
	closed bool
	wake   chan struct{}      // has an item when in has
	taken  []Frame            // what the last Recv returned
	of     []*block           // the blocks that taken is in
	out    bool               // the receiver still uses taken
	cost   int                // of taken, in bytes of the window
	owed   int                // bytes that were received and not yet credited
	prompt func([]Frame) bool // of Pump; nil: none

	prompting sync.WaitGroup // a call of prompt that is under way
}

// lockedLane is a Lane whose mu is locked; functions that need that are its methods.
type lockedLane Lane

func (x *Lane) locked() *lockedLane { return (*lockedLane)(x) }

// recvBytes is how many bytes one Recv returns at most: a part of the window, so that the sender can go on meanwhile.
const recvBytes = Window / 4

func newLane(c *Conn, instance, door uint32) *Lane {
	return &Lane{conn: c, instance: instance, door: door, credit: Window, window: Window,
		ended: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// Send sends frames in order. It blocks while the lane's window or the link's queue is full. The payloads may be
// reused when it has returned. The error is ctx's, [ErrClosed], or [ErrTooLarge]; the frames before the one that
// failed have been sent.
func (l *Lane) Send(ctx context.Context, frames ...Frame) error {
	if err := check(frames); err != nil {
		return err
	}
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(frames) > 0 {
		if l.isEnded() {
			return ErrClosed
		}
		if wait := l.conn.locked().blocked(l); wait != nil {
			c.locked().kick()
			c.mu.Unlock()
			var err error
			select {
			case <-wait:
			case <-l.ended:
			case <-ctx.Done():
				err = ctx.Err()
			}
			c.mu.Lock()
			if err != nil {
				return err
			}
			continue
		}
		l.conn.locked().add(l, frames)
		frames = frames[1:]
	}
	c.locked().depart()
	return nil
}

// TrySend sends all frames and returns true; or, if [Lane.Send] would have to wait, it sends none and returns false.
func (l *Lane) TrySend(frames ...Frame) (bool, error) {
	if err := check(frames); err != nil {
		return false, err
	}
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.isEnded() {
		return false, ErrClosed
	}
	if len(frames) == 0 {
		return true, nil
	}
	total := 0
	for _, f := range frames[:len(frames)-1] {
		total += Cost(f)
	}
	if l.credit <= total || l.door != 0 && c.locked().queued()+total >= pending {
		return false, nil
	}
	for ; len(frames) > 0; frames = frames[1:] {
		l.conn.locked().add(l, frames)
	}
	c.locked().depart()
	return true, nil
}

func check(frames []Frame) error {
	for i := range frames {
		if len(frames[i].Payload) > MaxFrame {
			return ErrTooLarge
		}
	}
	return nil
}

// add puts the first of some frames of a lane into the queue.
func (c *lockedConn) add(l *Lane, frames []Frame) {
	f, more := frames[0], 0
	l.credit -= Cost(f)
	if len(c.out) == 0 {
		for _, next := range frames[1:] {
			more += Cost(next)
		}
	}
	b := c.buffer(Cost(f), more)
	*b = appendFrame(*b, l.instance, l.door, f)
}

// blocked returns what to wait for before the next frame of a lane, or nil.
func (c *lockedConn) blocked(l *Lane) chan struct{} {
	switch {
	case l.credit <= 0:
		if l.more == nil {
			l.more = make(chan struct{})
		}
		return l.more
	case l.door != 0 && c.queued() >= pending: // messages overtake waiting data
		if c.room == nil {
			c.room = make(chan struct{})
		}
		return c.room
	}
	return nil
}

func (l *Lane) isEnded() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// Recv returns the frames that have arrived: at least one, and at most about a quarter of the window. The slice and the payloads
// belong to the caller until its next Recv, which is also what lets the other side send more. When the lane has ended
// and everything was received the error is io.EOF; else it is ctx's.
func (l *Lane) Recv(ctx context.Context) ([]Frame, error) {
	l.repay()
	for {
		if frames, err := l.take(); frames != nil || err != nil {
			return frames, err
		}
		select {
		case <-l.wake:
		case <-l.ended:
			if frames, err := l.take(); frames != nil || err != nil {
				return frames, err
			}
			return nil, io.EOF
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *Lane) take() ([]Frame, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, io.EOF
	}
	l.taken = l.taken[:0]
	for l.head < len(l.in) && l.cost < recvBytes {
		f := l.in[l.head]
		l.in[l.head] = arrived{}
		l.head++
		l.cost += Cost(f.Frame)
		l.taken = append(l.taken, f.Frame)
		if f.block != nil {
			l.of = append(l.of, f.block)
		}
	}
	if l.head == len(l.in) {
		l.in, l.head = l.in[:0], 0
	} else {
		l.notify() // the next Recv need not wait
	}
	if len(l.taken) == 0 {
		return nil, nil
	}
	l.out = true
	return l.taken, nil
}

// repay credits what the last Recv returned, once it is worth a frame.
func (l *Lane) repay() {
	l.mu.Lock()
	for _, k := range l.of {
		l.store.release(k)
	}
	clear(l.of)
	clear(l.taken)
	l.of, l.taken, l.out = l.of[:0], l.taken[:0], false
	cost := l.cost
	l.cost = 0
	give := l.locked().owe(cost)
	l.mu.Unlock()
	l.conn.waiting.Add(int64(-cost))
	if give > 0 {
		l.conn.sendCredit(l, give)
	}
}

// owe adds received bytes to those that are not yet credited, and returns how many are to be credited now.
func (l *lockedLane) owe(cost int) (give int) {
	l.owed += cost
	if l.owed >= Window/4 && !l.closed {
		give, l.owed = l.owed, 0
		l.window += give
	}
	return give
}

// promptly is how many bytes a prompt function is given at once: more would hold up other lanes, and is worth the start of a
// goroutine.
const promptly = 64 << 10

// Pump gives what arrives to handle, in order and one call at a time, until the lane or ctx ends, and returns why.
// handle may use the frames until it returns. prompt, if it is not nil, is called by the goroutine that reads the link,
// with few bytes and when nothing waits, so it must not block. If it returns false, it has not taken the frames, and
// handle gets them. When Pump has returned, no call goes on.
func (l *Lane) Pump(ctx context.Context, prompt func([]Frame) bool, handle func([]Frame)) error {
	if prompt != nil {
		l.mu.Lock()
		l.prompt = prompt
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			l.prompt = nil
			l.mu.Unlock()
			l.prompting.Wait()
		}()
	}
	for {
		frames, err := l.Recv(ctx)
		if err != nil {
			return err
		}
		handle(frames)
	}
}

// push queues frames that have arrived. If their memory is borrowed, it copies the payloads.
func (l *Lane) push(frames []Frame, borrowed bool) error {
	l.mu.Lock()
	total, err := l.locked().charge(frames)
	if err != nil || l.closed {
		l.mu.Unlock()
		return err
	}
	if f := l.prompt; f != nil && !l.out && l.head == len(l.in) && total <= promptly {
		l.out = true
		l.prompting.Add(1)
		l.mu.Unlock()
		taken := f(frames)
		l.prompting.Done()
		l.mu.Lock()
		l.out = false
		if taken || l.closed {
			give := l.locked().owe(total)
			l.mu.Unlock()
			if give > 0 {
				l.conn.sendCredit(l, give)
			}
			return nil
		}
	}
	defer l.mu.Unlock()
	if l.conn.waiting.Add(int64(total)) > MaxQueued {
		return violation("%d bytes wait on the doors that nobody empties", MaxQueued)
	}
	if l.head > 0 && l.head*2 >= len(l.in) {
		n := copy(l.in, l.in[l.head:])
		clear(l.in[n:])
		l.in, l.head = l.in[:n], 0
	}
	for _, f := range frames {
		a := arrived{Frame: f}
		if borrowed && l.door != 0 { // messages were copied already
			a.Payload, a.block = l.store.keep(f.Payload)
		}
		l.in = append(l.in, a)
	}
	l.notify()
	return nil
}

// charge subtracts the cost of the frames from the window.
func (l *lockedLane) charge(frames []Frame) (total int, err error) {
	if l.closed {
		return 0, nil
	}
	for i := range frames {
		if l.window <= 0 {
			return 0, violation("more data than the window on door %d of instance %d", l.door, l.instance)
		}
		cost := Cost(frames[i])
		l.window -= cost
		total += cost
	}
	return total, nil
}

func (l *Lane) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close ends the lane on this side at once: what has arrived is dropped. The caller sends the frame that tells the other side.
func (l *Lane) Close() {
	l.End()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	left := l.cost
	for _, f := range l.in[l.head:] {
		left += Cost(f.Frame)
	}
	l.conn.waiting.Add(int64(-left))
	l.in, l.head, l.cost, l.store = nil, 0, 0, store{} // the receiver may still use what the last Recv returned
}

// End ends the lane in an orderly way: what has arrived can still be received, then Recv returns io.EOF.
func (l *Lane) End() {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	delete(l.conn.lanes, laneKey{l.instance, l.door})
	l.endLocked()
}

func (l *Lane) endLocked() {
	if !l.isEnded() {
		close(l.ended)
	}
}

// Ended is closed when the lane has ended.
func (l *Lane) Ended() <-chan struct{} { return l.ended }
