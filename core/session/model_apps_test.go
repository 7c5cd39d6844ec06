package session

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// fate is what is known of one message of the model.
type fate struct {
	from      int
	life      uint64 // of the sender
	to        int    // the destination
	posted    bool
	watched   bool
	size      int      // of its text
	delivered []uint64 // lives of the receiver in which its application took it
	failed    bool     // its destination vanished, and its sender was to be told
	told      *Event   // that it was given up
	settled   *Event   // that it was taken or refused
	answered  bool     // Options.Refuse was told that it is refused
}

// destinations is how many applications each side of the model has.
const destinations = 6

// apps are the applications of one life of a side: each has an inbox of a few messages, and takes them at its pace.
type apps struct {
	m    *model
	sd   *side
	life uint64
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{}
	queues  [destinations][]item
	busy    [destinations]bool
}

type item struct {
	m message.Message
	r minibus.Receipt
}

// inboxOfApp is how many messages wait for an application of the model.
const inboxOfApp = 8

func newApps(m *model, sd *side) *apps {
	a := &apps{m: m, sd: sd, changed: make(chan struct{})}
	a.ctx, a.end = context.WithCancel(m.t.Context())
	return a
}

// Accept takes a message, and waits for a place.
func (a *apps) Accept(ctx context.Context, _ message.URL, d *minibus.Delivery) {
	a.deliver(ctx, d, true)
}

// TryAccept takes messages while there are places. It stops anywhere.
func (a *apps) TryAccept(_ message.URL, run []minibus.Delivery) (taken int) {
	for taken < len(run) && (taken == 0 || !a.m.chance(0.05)) && a.deliver(a.ctx, &run[taken], false) {
		taken++
	}
	return taken
}

// deliver takes a message. It is false where there is no place and it may not wait for one.
func (a *apps) deliver(ctx context.Context, d *minibus.Delivery, waits bool) bool {
	var to int
	fmt.Sscanf(d.Message.To.Path(), "/d%d", &to)
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queues[to]) >= inboxOfApp {
		if !waits {
			return false
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			a.mu.Lock()
			return true
		}
		a.mu.Lock()
	}
	a.m.arrived(a, to, d.Message)
	a.queues[to] = append(a.queues[to], item{d.Message, d.Receipt})
	if !a.busy[to] && a.ctx.Err() == nil {
		a.busy[to] = true
		a.work.Go(func() { a.run(to) })
	}
	return true
}

// run is one application at work.
func (a *apps) run(to int) {
	for {
		a.mu.Lock()
		if len(a.queues[to]) == 0 {
			a.busy[to] = false
			a.mu.Unlock()
			return
		}
		next := a.queues[to][0]
		a.queues[to] = a.queues[to][1:]
		close(a.changed)
		a.changed = make(chan struct{})
		a.mu.Unlock()
		if pace := a.m.pace(to); pace > 0 { // see carry
			select {
			case <-time.After(pace):
			case <-a.m.free:
			case <-a.ctx.Done():
			}
		}
		if a.ctx.Err() != nil {
			return // killed: nobody has taken it
		}
		if a.m.rules.vanish > 0 && a.m.chance(a.m.rules.vanish) {
			a.m.taken(a, next.m, false)
			next.r.Failed(next.m, &message.ResponseError{Code: message.CodeNotFound})
			continue
		}
		a.m.taken(a, next.m, true)
		next.r.Taken()
	}
}

// pace is how long the application takes for a message.
func (m *model) pace(to int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		return 0
	}
	return m.rules.paces[to]
}

func destinationOf(me, to int) message.URL {
	return message.URL(fmt.Sprintf("hyperty://%c.example/d%d", 'a'+byte(1-me), to))
}

// modelLetter is message number n of side me to one of the other's applications. Its routing changes now and then.
func modelLetter(n uint64, me, to, size int) message.Message {
	m := letter(n, size)
	m.To = destinationOf(me, to)
	switch n / 4 % 8 {
	case 1:
		m.Via = []message.URL{relay.Stub}
	case 2:
		m.Source = m.From
	case 3:
		m.P2P = message.Yes
	}
	return m
}

// talk posts messages until ctx ends, to every third application.
func (m *model) talk(ctx context.Context, sd *side, s *Sessions, third int) {
	for ctx.Err() == nil {
		m.hushed(ctx.Done())
		for range m.intn(12) {
			var path Path
			switch m.intn(20) {
			case 0:
				path = relay
			case 1:
				path = direct
			}
			to := third + 3*m.intn(2)
			m.mu.Lock()
			sd.n++
			n := sd.n
			size := 20
			if m.r.IntN(20) == 0 {
				size = m.r.IntN(9000)
			}
			f := &fate{from: sd.me, life: s.Incarnation(), to: to, size: size, watched: m.r.IntN(2) == 0}
			m.ledger[n] = f
			m.mu.Unlock()
			wait, cancel := context.WithTimeout(ctx, time.Duration(1+m.intn(2000))*time.Millisecond)
			post := s.Post
			if f.watched {
				post = s.PostTracked
			}
			err := post(wait, m.sides[1-sd.me].url, path, modelLetter(n, sd.me, to, size))
			cancel()
			if err != nil && !errors.Is(err, ErrBackpressure) {
				m.t.Errorf("post: %v", err)
			}
			m.mu.Lock()
			f.posted = err == nil
			m.mu.Unlock()
		}
		select {
		case <-time.After(time.Duration(1+m.intn(300)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// event notes what a session says of its messages.
func (m *model) event(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crowd.told[e.Kind]++
	if e.MayHaveArrived && strings.Contains(e.Why, "dropped the session") {
		m.t.Errorf("in doubt because of an idle session: %+v", e)
	}
	for _, id := range e.IDs {
		var n uint64
		fmt.Sscan(id.String(), &n)
		f := m.ledger[n]
		switch {
		case f.told != nil || f.settled != nil:
			m.t.Errorf("%d: told twice: %+v %+v, and %+v", n, f.told, f.settled, e)
		case e.Kind == Rejected && !f.failed:
			m.t.Errorf("%d was said to be rejected, and was not: %+v", n, e)
		case e.Kind == Rejected:
			f.settled = &e
		case e.Kind != Settled:
			f.told = &e
		case !f.watched:
			m.t.Errorf("%d: nobody wanted to know: %+v", n, e)
		case e.Code == message.CodeOK && len(f.delivered) == 0:
			m.t.Errorf("%d was said to be taken, and was not", n)
		case e.Code != message.CodeOK && !f.failed:
			m.t.Errorf("%d was said to be refused, and was not: %+v", n, e)
		default:
			f.settled = &e
		}
	}
}

// arrived checks what must hold when a message comes into an application's inbox.
func (m *model) arrived(a *apps, to int, msg message.Message) {
	n := number(msg)
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.ledger[n]
	if f == nil || f.from == a.sd.me || f.to != to {
		m.t.Errorf("%d was never posted to %s, %d", n, a.sd.url, to)
		return
	}
	if want := modelLetter(n, f.from, to, f.size); !reflect.DeepEqual(msg, want) {
		m.t.Errorf("%d delivered altered: %+v, want %+v", n, msg, want)
	}
	key := order{f.life, a.life, to}
	if n <= a.sd.last[key] {
		m.t.Errorf("%d delivered after %d", n, a.sd.last[key])
	}
	a.sd.last[key] = n
}

// taken notes that an application has taken a message, or that it never will.
func (m *model) taken(a *apps, msg message.Message, ok bool) {
	n := number(msg)
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.ledger[n]
	if len(f.delivered) > 0 || f.failed {
		m.t.Errorf("%d taken twice, in %x after %x", n, a.life, f.delivered)
	}
	if !ok {
		f.failed = true
		return
	}
	f.delivered = append(f.delivered, a.life)
}

// judge checks what must hold in the end: every message was taken, or refused or given up aloud, and what was said of it
// is true.
func (m *model) judge() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, f := range m.ledger {
		switch arrived := len(f.delivered) > 0 || f.failed; {
		case !f.posted && arrived:
			m.t.Errorf("%d arrived though it was refused", n)
		case f.posted && !arrived && f.told == nil:
			m.t.Errorf("%d was lost without a word", n)
		case f.posted && f.watched && f.told == nil && f.settled == nil:
			m.t.Errorf("%d was watched, and nothing was said of it", n)
		case arrived && f.told != nil && !f.told.MayHaveArrived:
			m.t.Errorf("%d arrived though it was said that it cannot have: %+v", n, *f.told)
		case f.failed && f.told == nil && f.settled == nil && !f.answered:
			m.t.Errorf("%d was refused without a word", n)
		}
	}
	if m.refusals > m.failures() || m.refusals < m.failures() && !m.rules.rejections {
		m.t.Errorf("%d messages failed, %d refusals were asked for", m.failures(), m.refusals)
	}
}

func (m *model) failures() (n int) {
	for _, f := range m.ledger {
		if f.failed {
			n++
		}
	}
	return n
}
