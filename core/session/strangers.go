package session

import (
	"bytes"
	"container/list"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Strangers: remote runtimes that there is no session with, since they have not proven who they are, or nothing was said
// with them for long. What comes from them is answered by the path that it came by. Of a handshake under way a small
// record is kept for a moment, in a pool of its own; a session is made when it has ended. Where much is to be computed a
// stranger first has to say a cookie back, of which nothing is kept at all.

const (
	maxPending   = 4096            // handshakes with strangers that are remembered
	maxPendingOf = 4               // of one of them, by one path
	pendingTime  = 5 * time.Second // and for how long
)

// pending is a handshake with a stranger.
type pending struct {
	remote message.URL
	path   Path
	local  *handshake.Local
	until  time.Duration
	offer  *handshake.Offer  // that we, the initiator, have begun
	answer *handshake.Answer // that we, the responder, have answered
	at     *list.Element
}

// pool is the handshakes with strangers. When it is full the path that has most of them loses its oldest. The zero value
// works; Sessions.strangersMu guards it.
type pool struct {
	by    map[message.URL][]*pending // at most maxPendingOf of a runtime by one path
	paths map[Path]*list.List        // of *pending, the oldest first; none is empty
	count int                        // at most maxPending
}

func (p *pool) add(one *pending, now time.Duration) {
	p.expire(now)
	if p.by == nil {
		p.by, p.paths = make(map[message.URL][]*pending), make(map[Path]*list.List)
	}
	same := 0
	var oldest *pending
	for _, other := range p.by[one.remote] {
		if other.path == one.path {
			if same++; oldest == nil {
				oldest = other
			}
		}
	}
	if same >= maxPendingOf {
		p.remove(oldest)
	}
	if p.count >= maxPending {
		p.evict()
	}
	if p.paths[one.path] == nil {
		p.paths[one.path] = list.New()
	}
	one.until = now + pendingTime
	one.at = p.paths[one.path].PushBack(one)
	p.by[one.remote] = append(p.by[one.remote], one)
	p.count++
}

func (p *pool) remove(one *pending) {
	of := p.paths[one.path]
	of.Remove(one.at)
	if of.Len() == 0 {
		delete(p.paths, one.path)
	}
	left := slices.DeleteFunc(p.by[one.remote], func(other *pending) bool { return other == one })
	if len(left) == 0 {
		delete(p.by, one.remote)
	} else {
		p.by[one.remote] = left
	}
	p.count--
}

// evict makes room for one.
func (p *pool) evict() {
	var most *list.List
	for _, of := range p.paths {
		if most == nil || of.Len() > most.Len() {
			most = of
		}
	}
	p.remove(most.Front().Value.(*pending))
}

// expire forgets handshakes that have not ended in time.
func (p *pool) expire(now time.Duration) {
	for _, of := range p.paths {
		for e := of.Front(); e != nil && now >= e.Value.(*pending).until; e = of.Front() {
			p.remove(e.Value.(*pending))
		}
	}
}

// of lists the handshakes with a runtime for which want is true.
func (p *pool) of(remote message.URL, want func(*pending) bool) (list []*pending) {
	for _, one := range p.by[remote] {
		if want(one) {
			list = append(list, one)
		}
	}
	return list
}

// forget drops all handshakes with a runtime: one of them has ended.
func (p *pool) forget(remote message.URL) {
	for _, one := range slices.Clone(p.by[remote]) {
		p.remove(one)
	}
}

// strangers is what is kept because of them all.
type strangers struct {
	cookies   cookies
	pool      pool
	allowance allowance     // what handshakes with them may cost
	unproven  *rate.Limiter // of those without a cookie; see open
	bins      bins
	desks     map[Path]*desk // at most maxDesks
	direct    int            // of them, those of direct paths: at most half, since their peers may read nothing
}

// open tells whether something may be computed and kept for a stranger that has said no cookie: much of that is done for
// those who only claim to be somebody.
func (st *strangers) open(at time.Time) bool {
	if st.unproven == nil {
		st.unproven = rate.NewLimiter(openRate, openHandshakes)
	}
	return st.pool.count <= maxPending/2 && st.unproven.AllowN(at, 1)
}

// stranger takes a frame of a runtime that there is no session with.
func (s *Sessions) stranger(remote message.URL, path Path, h wire.Head, frame []byte) {
	c := &call{all: s, remote: remote, path: path, Head: h, now: s.now(), local: s.current()}
	if h.From == c.local.Incarnation { // our own, reflected
		return
	}
	step, m, cookie, ok := byte(handshake.StepAsk), []byte(nil), []byte(nil), true
	if h.Kind == wire.Hello {
		if step, m, cookie, ok = handshake.Uncover(frame[wire.HeadSize:]); !ok {
			return
		}
	}
	initiator := s.self < remote
	switch {
	case h.Kind != wire.Hello && !initiator: // of a session that is not here any more
		c.reply(handshake.StepAsk, nil)
	case step == handshake.StepAsk && initiator:
		c.begin(cookie)
	case step == handshake.StepFirst && !initiator:
		c.answer(m, cookie)
	case step == handshake.StepSecond && initiator:
		c.second(m)
	case step == handshake.StepThird && !initiator:
		c.third(m)
	case step == handshake.StepCookie && len(m) == handshake.CookieSize:
		c.again(m)
	}
}

// call is one frame of a stranger.
type call struct {
	all    *Sessions
	remote message.URL
	path   Path
	wire.Head
	now   time.Duration
	local *handshake.Local
}

func (c *call) reply(step byte, m []byte) {
	c.all.reply(c.remote, c.path, wire.Head{Kind: wire.Hello, From: c.local.Incarnation, To: c.From}, append([]byte{step}, m...))
}

// welcome tells whether something may be computed and kept for a stranger that is to be answered. Under load it has to
// have a cookie, and gets one else.
func (c *call) welcome(cookie []byte) bool {
	st, at := &c.all.strangers, c.all.epoch.Add(c.now)
	c.all.strangersMu.Lock()
	proven := cookie != nil && st.cookies.good(cookie, c.remote, c.path, c.now)
	if !proven && !st.open(at) {
		fresh := st.cookies.of(c.remote, c.path, c.now)
		c.all.strangersMu.Unlock()
		c.reply(handshake.StepCookie, fresh)
		return false
	}
	defer c.all.strangersMu.Unlock()
	return st.bins.take(c.remote, at) && st.allowance.take(c.path.Stub, at)
}

// worth is welcome for what follows in a handshake that is in the pool.
func (c *call) worth() bool {
	st, at := &c.all.strangers, c.all.epoch.Add(c.now)
	c.all.strangersMu.Lock()
	defer c.all.strangersMu.Unlock()
	return st.bins.take(c.remote, at) && st.allowance.take(c.path.Stub, at)
}

func (c *call) keep(one *pending) {
	one.remote, one.path, one.local = c.remote, c.path, c.local
	c.all.strangersMu.Lock()
	c.all.strangers.pool.add(one, c.now)
	c.all.strangersMu.Unlock()
	c.all.sweepSoon()
}

func (c *call) known(want func(*pending) bool) []*pending {
	c.all.strangersMu.Lock()
	defer c.all.strangersMu.Unlock()
	c.all.strangers.pool.expire(c.now)
	return c.all.strangers.pool.of(c.remote, want)
}

// begin takes a responder's wish for a handshake.
func (c *call) begin(cookie []byte) {
	if before := c.known(func(p *pending) bool { return p.offer != nil && p.path == c.path }); len(before) > 0 {
		c.local = before[0].local
		c.reply(handshake.StepFirst, before[0].offer.First)
		return
	}
	if !c.welcome(cookie) {
		return
	}
	c.all.queue(c.path, reply{make: func() {
		offer, err := c.local.Offer(c.all.self, c.remote, handshake.NewSecret())
		if err != nil {
			return // this runtime has no key: that was logged
		}
		c.keep(&pending{offer: offer})
		c.reply(handshake.StepFirst, offer.First)
	}})
}

// answer takes the first message of a handshake.
func (c *call) answer(m, cookie []byte) {
	if len(m) < handshake.FirstSize {
		return
	}
	before := c.known(func(p *pending) bool { return p.answer != nil && p.path == c.path && bytes.Equal(p.answer.First, m) })
	if len(before) > 0 {
		c.local = before[0].local
		c.reply(handshake.StepSecond, before[0].answer.Second)
		return
	}
	if !c.welcome(cookie) {
		return
	}
	m = bytes.Clone(m) // the frame is its reader's
	c.all.queue(c.path, reply{make: func() {
		made, err := c.local.Answer(c.all.self, c.remote, m, handshake.NewSecret())
		if err != nil || made.From != c.From {
			return
		}
		c.keep(&pending{answer: made})
		c.reply(handshake.StepSecond, made.Second)
	}})
}

// second takes the second message, which ends the initiator's part.
func (c *call) second(m []byte) {
	for _, p := range c.known(func(p *pending) bool { return p.offer != nil && p.local.Incarnation == c.To }) {
		if len(m) < handshake.SecondSize || !c.worth() {
			return
		}
		got, err := p.offer.Second(m)
		if err == nil && got.Incarnation == c.From && got.Incarnation != p.local.Incarnation {
			c.all.admitted(c, p.local, got, false)
			return
		}
		c.failed(err)
	}
}

// third takes the third message, which ends the responder's part.
func (c *call) third(m []byte) {
	mine := c.known(func(p *pending) bool {
		return p.answer != nil && p.local.Incarnation == c.To && p.answer.From == c.From
	})
	for _, p := range mine {
		if len(m) < handshake.ThirdSize || !c.worth() {
			return
		}
		got, err := p.answer.Third(m)
		if err == nil {
			c.all.admitted(c, p.local, got, true)
			return
		}
		c.failed(err)
	}
	if len(mine) == 0 { // its handshake is gone: it has to begin a new one
		c.reply(handshake.StepAsk, nil)
	}
}

// again takes the cookie of a stranger that is under load itself.
func (c *call) again(cookie []byte) {
	if c.all.self > c.remote {
		c.all.reply(c.remote, c.path, wire.Head{Kind: wire.Hello, From: c.local.Incarnation, To: c.From}, handshake.Cover(cookie, handshake.StepAsk, nil))
		return
	}
	for _, p := range c.known(func(p *pending) bool { return p.offer != nil && p.path == c.path }) {
		c.all.reply(c.remote, c.path, wire.Head{Kind: wire.Hello, From: p.local.Incarnation, To: c.From}, handshake.Cover(cookie, handshake.StepFirst, p.offer.First))
	}
}

// failed says why a handshake cannot be, where it is somebody's doing and not an accident.
func (c *call) failed(err error) {
	if e, ok := impostor(err); ok {
		e.Remote, e.Path = c.remote, c.path
		c.all.onceInAWhile(e)
	}
}

// admitted makes the session with a stranger that has proven who it is.
func (s *Sessions) admitted(c *call, l *handshake.Local, got handshake.Agreed, confirmed bool) {
	s.strangersMu.Lock()
	s.strangers.pool.forget(c.remote)
	s.strangersMu.Unlock()
	one := newSession(s, c.remote, l)
	path, ok := s.o.Route(c.remote)
	if !ok || path.IsZero() {
		path = c.path
	}
	one.mu.Lock()
	defer one.unlock()
	if !s.enter(one, true) {
		one.gone = true
		return
	}
	one.cameBy(c.path)
	one.switchTo(path, c.now)
	one.adopt(got, confirmed, c.now)
}

// answeredStranger is the handshakes of a runtime that were answered, as this incarnation, before there was a session with it.
func (s *Sessions) answeredStranger(remote message.URL, incarnation uint64, now time.Duration) (list []*handshake.Answer) {
	s.strangersMu.Lock()
	defer s.strangersMu.Unlock()
	s.strangers.pool.expire(now)
	for _, p := range s.strangers.pool.by[remote] {
		if p.answer != nil && p.local.Incarnation == incarnation {
			list = append(list, p.answer)
		}
	}
	return list
}

// forgetStranger drops the handshakes with a runtime that there is a session with now.
func (s *Sessions) forgetStranger(remote message.URL) {
	s.strangersMu.Lock()
	defer s.strangersMu.Unlock()
	s.strangers.pool.forget(remote)
}
