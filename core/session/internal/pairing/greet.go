package pairing

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
)

// What comes before a frame is proven to be the peer's: hellos, and sealed frames that are not of the pair.

const (
	maxAnswers = 4 // handshakes that the initiator has begun and not ended, by one stub
	thirdTries = 3 // of the third message, when the responder asks for a handshake all the same
)

// Allowance bounds what the handshakes of all sessions together may cost.
type Allowance interface {
	// Take tells whether a message that came by the stub may be computed on.
	Take(stub message.URL, now time.Duration) bool
}

// disturbed tells whether something that anybody can have sent by a stub may make us act now.
func (p *Pairing) disturbed(stub message.URL, now time.Duration) bool {
	return p.limits.of(stub).disturbs(p.o.ProbeMax, now)
}

// Strange takes a sealed frame that is not of the pair: of another incarnation, or for another one of ours.
func (p *Pairing) Strange(stub message.URL, from uint64, now time.Duration) (c Change) {
	defer p.replies(&c, p.hear())
	c.Dropped = true
	switch {
	case p.buried(from) || from == p.peer && p.confirmed: // late
	case !p.disturbed(stub, now):
	case p.Opening() || from == p.peer:
		p.repeat(from, now)
	default:
		p.begin(&c, from, now)
	}
	return c
}

// Unopened takes a frame that pretends to be the peer's and does not open.
func (p *Pairing) Unopened(stub message.URL, now time.Duration) (c Change) {
	defer p.replies(&c, p.hear())
	c.Dropped = true
	if !p.confirmed && !p.Opening() && p.disturbed(stub, now) { // it may lack the third message
		p.repeat(p.peer, now)
	}
	return c
}

// Greeted takes a hello. earlier are handshakes of that runtime that were answered before there was a session with it.
func (p *Pairing) Greeted(stub message.URL, h wire.Head, body []byte, earlier []*handshake.Answer, allow Allowance, now time.Duration) (c Change) {
	defer p.replies(&c, p.hear())
	step, m, _, ok := handshake.Uncover(body)
	if !ok || p.buried(h.From) {
		c.Dropped = true
		return c
	}
	var err error
	switch {
	case step == handshake.StepAsk && p.initiator():
		p.wanted(&c, stub, h.From, now)
	case step == handshake.StepFirst && !p.initiator():
		err = p.offered(&c, stub, h, m, allow, now)
	case step == handshake.StepSecond && p.initiator() && p.offer != nil && h.To == p.Own():
		err = p.answered(&c, stub, h, m, allow, now)
	case step == handshake.StepThird && !p.initiator() && h.To == p.Own():
		err = p.concluded(&c, stub, h, m, earlier, allow, now)
	case step == handshake.StepCookie && len(m) == handshake.CookieSize && h.From != p.peer:
		p.cookied(&c, stub, h.From, m, now)
	case step == handshake.StepSecond && p.initiator() && h.From != p.peer:
		p.wanted(&c, stub, h.From, now) // late, or somebody answers what we did not say now: there may be a new life
	default:
		c.Dropped = true
	}
	if err != nil {
		c.Dropped = true
		p.refuse(&c, err, now)
	}
	return c
}

// hear begins to take something that came, and says how many hellos wait.
func (p *Pairing) hear() (hellos int) {
	p.said = p.said[:0]
	return len(p.hellos)
}

// replies notes what answers that which came: it goes back by the same path, since the one in use may be dead, as that to a peer
// is which has started again. It also notes whether there is something to send that was not there when so many hellos waited.
// What came too soon after another disturbance is not answered and wakes nobody, however much of it comes.
func (p *Pairing) replies(c *Change, hellos int) {
	for _, h := range p.said {
		c.Replies = append(c.Replies, p.appendHello(nil, h))
	}
	c.Wake = c.Wake || c.Answer || c.Probe || len(p.hellos) > hellos
}

// wanted takes a responder's wish for a handshake. A peer of which we know that it has keys cannot have lost them: such
// a wish is late, or forged.
func (p *Pairing) wanted(c *Change, stub message.URL, from uint64, now time.Duration) {
	switch {
	case from == p.peer && p.confirmed:
		c.Dropped = true
	case !p.disturbed(stub, now):
	case p.Opening() || from == p.peer && p.helloN < thirdTries:
		p.repeat(from, now)
	default:
		p.begin(c, from, now)
	}
}

// cookied takes the answer of a runtime under load, which does nothing before it is said again with this cookie.
func (p *Pairing) cookied(c *Change, stub message.URL, from uint64, cookie []byte, now time.Duration) {
	if !p.disturbed(stub, now) {
		return
	}
	p.cookie = bytes.Clone(cookie)
	if p.Opening() {
		p.repeat(from, now)
	} else {
		p.begin(c, from, now)
	}
}

// offered takes the first message of a handshake.
func (p *Pairing) offered(c *Change, stub message.URL, h wire.Head, m []byte, allow Allowance, now time.Duration) error {
	i := slices.IndexFunc(p.answers, func(a answer) bool { return bytes.Equal(a.First, m) })
	if i < 0 {
		if err := p.worth(stub, m, handshake.FirstSize, allow, now); err != nil {
			return err
		}
		made, err := p.local.Answer(p.self, p.remote, m, handshake.NewSecret())
		if err != nil {
			return err
		}
		if made.From != h.From {
			return wire.ErrFields
		}
		i = p.keep(answer{made, stub})
		if p.peer != 0 && h.From != p.peer && p.disturbed(stub, now) {
			p.hold(c, now)
		}
	}
	p.say(h.From, handshake.StepSecond, p.answers[i].Second)
	return nil
}

// keep adds a handshake to those that were answered. One that came by the same stub makes room, so that what comes by
// others does not lose its place.
func (p *Pairing) keep(made answer) (at int) {
	same := func(a answer) bool { return a.stub == made.stub }
	n := 0
	for _, a := range p.answers {
		if same(a) {
			n++
		}
	}
	switch i := slices.IndexFunc(p.answers, same); {
	case n >= maxAnswers:
		p.answers = slices.Delete(p.answers, i, i+1)
	case len(p.answers) >= maxAnswers*maxStubs:
		p.answers = slices.Delete(p.answers, 0, 1)
	}
	p.answers = append(p.answers, made)
	return len(p.answers) - 1
}

// answered takes the second message, which ends the initiator's part.
func (p *Pairing) answered(c *Change, stub message.URL, h wire.Head, m []byte, allow Allowance, now time.Duration) error {
	if err := p.worth(stub, m, handshake.SecondSize, allow, now); err != nil {
		return err
	}
	got, err := p.offer.Second(m)
	if err != nil {
		return err
	}
	if got.Incarnation != h.From || h.From == p.Own() || p.buried(h.From) {
		return wire.ErrFields
	}
	p.offer, p.helloDue, c.Wake = nil, 0, true // messages were held back
	if h.From == p.peer && p.confirmed {
		p.holdTo = 0
		return nil // it lives, and has keys
	}
	c.Adopted, c.Before = true, p.Adopt(got, false, now)
	return nil
}

// concluded takes the third message, which ends the responder's part. All other handshakes that were begun before end
// with it: none of them may replace what is newer.
func (p *Pairing) concluded(c *Change, stub message.URL, h wire.Head, m []byte, earlier []*handshake.Answer, allow Allowance, now time.Duration) error {
	if h.From == p.peer && bytes.Equal(m, p.third) {
		c.Answer = true // any frame of ours ends the repetition
		return nil
	}
	list := make([]*handshake.Answer, 0, len(p.answers)+len(earlier))
	for _, a := range p.answers {
		list = append(list, a.Answer)
	}
	list = append(list, earlier...)
	err := handshake.ErrHandshake
	for _, a := range list {
		if a.From != h.From {
			continue
		}
		if err := p.worth(stub, m, handshake.ThirdSize, allow, now); err != nil {
			return err
		}
		var got handshake.Agreed
		if got, err = a.Third(m); err == nil {
			p.answers, p.asking, p.helloDue = nil, false, 0
			c.Adopted, c.Before = true, p.Adopt(got, true, now)
			return nil
		}
		if errors.Is(err, runtimekey.ErrCertificate) {
			return err
		}
	}
	if !p.Opening() && p.disturbed(stub, now) { // its handshake is gone: it has to begin a new one
		p.say(h.From, handshake.StepAsk, nil)
	}
	return err
}

// worth tells whether a message of the handshake may cost us the time to compute an answer.
func (p *Pairing) worth(stub message.URL, m []byte, size int, allow Allowance, now time.Duration) error {
	switch {
	case len(m) < size:
		return wire.ErrShort
	case !p.limits.of(stub).handshakes.AllowN(time.Unix(0, int64(now)), 1) || !allow.Take(stub, now):
		return handshake.ErrBusy
	}
	return nil
}
