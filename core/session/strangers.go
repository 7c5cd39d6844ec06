package session

import (
	"bytes"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Strangers are remote runtimes that there is no session with, since they have not proven who they are, or nothing was said
// with them for long. What comes from them is answered by the path that it came by. What is kept of them, and what they may
// cost, is in internal/strangers; a session is made when a handshake has ended.

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
	ok, fresh := c.all.visitors.welcome(c.remote, c.path, false, cookie, c.now)
	if fresh != nil {
		c.reply(handshake.StepCookie, fresh)
	}
	return ok
}

// worth is welcome for what follows in a handshake that is kept.
func (c *call) worth() bool {
	ok, _ := c.all.visitors.welcome(c.remote, c.path, true, nil, c.now)
	return ok
}

func (c *call) keep(one *strangers.Pending) {
	one.Remote, one.Path, one.Local = c.remote, c.path, c.local
	c.all.visitors.keep(one, c.now)
	c.all.sweepSoon()
}

func (c *call) known(want func(*strangers.Pending) bool) []*strangers.Pending {
	return c.all.visitors.of(c.remote, want, c.now)
}

// begin takes a responder's wish for a handshake.
func (c *call) begin(cookie []byte) {
	if before := c.known(func(p *strangers.Pending) bool { return p.Offer != nil && p.Path == c.path }); len(before) > 0 {
		c.local = before[0].Local
		c.reply(handshake.StepFirst, before[0].Offer.First)
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
		c.keep(&strangers.Pending{Offer: offer})
		c.reply(handshake.StepFirst, offer.First)
	}})
}

// answer takes the first message of a handshake.
func (c *call) answer(m, cookie []byte) {
	if len(m) < handshake.FirstSize {
		return
	}
	before := c.known(func(p *strangers.Pending) bool {
		return p.Answer != nil && p.Path == c.path && bytes.Equal(p.Answer.First, m)
	})
	if len(before) > 0 {
		c.local = before[0].Local
		c.reply(handshake.StepSecond, before[0].Answer.Second)
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
		c.keep(&strangers.Pending{Answer: made})
		c.reply(handshake.StepSecond, made.Second)
	}})
}

// second takes the second message, which ends the initiator's part.
func (c *call) second(m []byte) {
	for _, p := range c.known(func(p *strangers.Pending) bool { return p.Offer != nil && p.Local.Incarnation == c.To }) {
		if len(m) < handshake.SecondSize || !c.worth() {
			return
		}
		got, err := p.Offer.Second(m)
		if err == nil && got.Incarnation == c.From && got.Incarnation != p.Local.Incarnation {
			c.all.admitted(c, p.Local, got, false)
			return
		}
		c.failed(err)
	}
}

// third takes the third message, which ends the responder's part.
func (c *call) third(m []byte) {
	mine := c.known(func(p *strangers.Pending) bool {
		return p.Answer != nil && p.Local.Incarnation == c.To && p.Answer.From == c.From
	})
	for _, p := range mine {
		if len(m) < handshake.ThirdSize || !c.worth() {
			return
		}
		got, err := p.Answer.Third(m)
		if err == nil {
			c.all.admitted(c, p.Local, got, true)
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
	for _, p := range c.known(func(p *strangers.Pending) bool { return p.Offer != nil && p.Path == c.path }) {
		c.all.reply(c.remote, c.path, wire.Head{Kind: wire.Hello, From: p.Local.Incarnation, To: c.From}, handshake.Cover(cookie, handshake.StepFirst, p.Offer.First))
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
	s.visitors.forget(c.remote)
	one := newSession(&s.shared, s, c.remote, l)
	path, ok := s.o.Route(c.remote)
	if !ok || path.IsZero() {
		path = c.path
	}
	held := one.lock()
	defer held.unlock()
	if !s.enter(one, true) {
		one.gone = true
		return
	}
	held.cameBy(c.path)
	held.switchTo(path, c.now)
	held.adopt(got, confirmed, c.now)
}
