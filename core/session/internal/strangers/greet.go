package strangers

import (
	"bytes"
	"errors"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
)

// Caller is the stranger that a frame is from, and who it speaks with.
type Caller struct {
	Self, Remote message.URL
	Path         paths.Path       // by which the frame came, and an answer goes
	Local        *handshake.Local // this runtime, in handshakes that begin now
}

// Answer is what a frame of a stranger asks for.
type Answer struct {
	Replies [][]byte // hellos that go back
	Task    *Task    // what is to be computed for it, without anybody waiting for that; nil: nothing
	Refused error    // somebody has not proven to be the runtime that it says it is

	// Of a handshake that has ended. A session can be made then.
	Agreed    handshake.Agreed // without Keys: none has
	Local     *handshake.Local // this runtime in the handshake
	Confirmed bool             // the peer has the keys
}

// visit is one frame of a stranger.
type visit struct {
	Caller
	wire.Head
	all *Strangers
	now time.Duration
	Answer
}

// Greet takes a frame of a stranger. The handshakes that a second or third message may belong to are computed on at once, since
// the stranger has shown that it gets what is sent to it; what a first message or a wish asks for is in the answer's Task.
func (s *Strangers) Greet(c Caller, h wire.Head, frame []byte, now time.Duration) Answer {
	v := visit{Caller: c, Head: h, all: s, now: now}
	if h.From == c.Local.Incarnation { // our own, reflected
		return v.Answer
	}
	step, m, cookie, ok := byte(handshake.StepAsk), []byte(nil), []byte(nil), true
	if h.Kind == wire.Hello {
		if step, m, cookie, ok = handshake.Uncover(frame[wire.HeadSize:]); !ok {
			return v.Answer
		}
	}
	initiator := c.Self < c.Remote
	switch {
	case h.Kind != wire.Hello && !initiator: // of a session that is not here any more
		v.reply(c.Local, []byte{handshake.StepAsk})
	case step == handshake.StepAsk && initiator:
		v.wish(cookie)
	case step == handshake.StepFirst && !initiator:
		v.first(m, cookie)
	case step == handshake.StepSecond && initiator:
		v.second(m)
	case step == handshake.StepThird && !initiator:
		v.third(m)
	case step == handshake.StepCookie && len(m) == handshake.CookieSize:
		v.again(m)
	}
	return v.Answer
}

// reply has a hello sent back.
func (v *visit) reply(l *handshake.Local, body []byte) {
	v.Replies = append(v.Replies, v.hello(l, body))
}

func (v *visit) hello(l *handshake.Local, body []byte) []byte {
	b := wire.AppendHead(make([]byte, 0, wire.HeadSize+len(body)), wire.Head{Kind: wire.Hello, From: l.Incarnation, To: v.From})
	return append(b, body...)
}

// welcome tells whether something may be computed and kept for the stranger. Under load it has to have a cookie, and gets one
// else.
func (v *visit) welcome(cookie []byte) bool {
	ok, fresh := v.all.Welcome(v.Remote, v.Path, cookie, v.now)
	if fresh != nil {
		v.reply(v.Caller.Local, append([]byte{handshake.StepCookie}, fresh...))
	}
	return ok
}

// known are the handshakes with the stranger for which want is true.
func (v *visit) known(want func(*Pending) bool) []*Pending {
	return v.all.Of(v.Remote, want, v.now)
}

// wish takes a responder's wish for a handshake.
func (v *visit) wish(cookie []byte) {
	if before := v.known(func(p *Pending) bool { return p.Offer != nil && p.Path == v.Path }); len(before) > 0 {
		v.reply(before[0].Local, append([]byte{handshake.StepFirst}, before[0].Offer.First...))
	} else if v.welcome(cookie) {
		v.Task = &Task{visit: *v}
	}
}

// first takes the first message of a handshake.
func (v *visit) first(m, cookie []byte) {
	if len(m) < handshake.FirstSize {
		return
	}
	before := v.known(func(p *Pending) bool { return p.Answer != nil && p.Path == v.Path && bytes.Equal(p.Answer.First, m) })
	if len(before) > 0 {
		v.reply(before[0].Local, append([]byte{handshake.StepSecond}, before[0].Answer.Second...))
	} else if v.welcome(cookie) {
		v.Task = &Task{visit: *v, first: bytes.Clone(m)} // the frame is its reader's
	}
}

// second takes the second message, which ends the initiator's part.
func (v *visit) second(m []byte) {
	for _, p := range v.known(func(p *Pending) bool { return p.Offer != nil && p.Local.Incarnation == v.To }) {
		if len(m) < handshake.SecondSize || !v.all.Worth(v.Remote, v.Path.Stub, v.now) {
			return
		}
		got, err := p.Offer.Second(m)
		if err == nil && got.Incarnation == v.From && got.Incarnation != p.Local.Incarnation {
			v.ends(p, got, false)
			return
		}
		v.failed(err)
	}
}

// third takes the third message, which ends the responder's part.
func (v *visit) third(m []byte) {
	mine := v.known(func(p *Pending) bool {
		return p.Answer != nil && p.Local.Incarnation == v.To && p.Answer.From == v.From
	})
	for _, p := range mine {
		if len(m) < handshake.ThirdSize || !v.all.Worth(v.Remote, v.Path.Stub, v.now) {
			return
		}
		got, err := p.Answer.Third(m)
		if err == nil {
			v.ends(p, got, true)
			return
		}
		v.failed(err)
	}
	if len(mine) == 0 { // its handshake is gone: it has to begin a new one
		v.reply(v.Caller.Local, []byte{handshake.StepAsk})
	}
}

// ends is the end of a handshake; all others with that runtime end with it.
func (v *visit) ends(p *Pending, got handshake.Agreed, confirmed bool) {
	v.all.Forget(v.Remote)
	v.Agreed, v.Answer.Local, v.Confirmed = got, p.Local, confirmed
}

// again takes the cookie of a stranger that is under load itself.
func (v *visit) again(cookie []byte) {
	if v.Self > v.Remote {
		v.reply(v.Caller.Local, handshake.Cover(cookie, handshake.StepAsk, nil))
		return
	}
	for _, p := range v.known(func(p *Pending) bool { return p.Offer != nil && p.Path == v.Path }) {
		v.reply(p.Local, handshake.Cover(cookie, handshake.StepFirst, p.Offer.First))
	}
}

// failed notes why a handshake cannot be, where that is somebody's doing and not an accident.
func (v *visit) failed(err error) {
	if errors.Is(err, runtimekey.ErrCertificate) {
		v.Refused = err
	}
}

// Task is a message of a handshake that is to be computed for a stranger, which takes about 0.2 ms.
type Task struct {
	visit visit
	first []byte // what is answered; nil: this runtime begins
}

// Run computes the message, keeps the handshake and returns the hello that goes back; nil: the stranger gets none.
func (t *Task) Run() (reply []byte) {
	v, one, step := &t.visit, &Pending{}, byte(handshake.StepFirst)
	var m []byte
	if t.first == nil {
		offer, err := v.Caller.Local.Offer(v.Self, v.Remote, handshake.NewSecret())
		if err != nil {
			return nil // this runtime has no key: that was logged
		}
		one.Offer, m = offer, offer.First
	} else {
		made, err := v.Caller.Local.Answer(v.Self, v.Remote, t.first, handshake.NewSecret())
		if err != nil || made.From != v.From {
			return nil
		}
		one.Answer, m, step = made, made.Second, handshake.StepSecond
	}
	one.Remote, one.Path, one.Local = v.Remote, v.Path, v.Caller.Local
	v.all.Keep(one, v.now)
	return v.hello(v.Caller.Local, append([]byte{step}, m...))
}
