package pairing

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
)

const (
	maxHellos  = 4                // hellos that wait to be sent
	helloTries = 5                // of a hello when nothing waits to be sent
	toldPause  = 30 * time.Second // between two refusals for the same reason
)

// Options are the times of a pairing. All have to be set.
type Options struct {
	ProbeMin time.Duration    // until a hello is repeated first; so long messages are held back where the peer seems to have a new life
	ProbeMax time.Duration    // repetitions back off up to this
	Keys     handshake.Limits // how much one key seals
}

// Pairing is the other side of one session.
type Pairing struct {
	o            Options
	self, remote message.URL
	local        *handshake.Local // this runtime in this session

	peer      uint64          // the incarnation that we are paired with; 0: none
	keys      *handshake.Keys // nil while peer is 0
	abilities byte            // of the peer
	confirmed bool            // the peer has keys: it has sealed a frame with them, or is the initiator
	pairedAt  time.Duration   // when the last handshake ended
	dead      [8]uint64       // the last ones that we were paired with before
	deadAt    int

	offer   *handshake.Offer // the handshake that we, the initiator, have begun; nil: none
	asking  bool             // we, the responder, want a handshake
	answers []answer         // the handshakes that we, the responder, have answered: maxAnswers by one stub
	cookie  []byte           // that the peer wants to hear, nil: none
	// third is the last message of the handshake with peer. The initiator keeps it until a frame shows that the
	// responder has it, and repeats it; the responder keeps it to know it again.
	third []byte

	hellos    []hello       // that wait to be sent
	said      []hello       // because of what is being taken
	helloDue  time.Duration // when the last one is repeated
	helloWait time.Duration
	helloN    int // how often it was sent

	limits limits        // of what comes by each stub and is not proven
	holdTo time.Duration // no message is sent before: the peer seems to have a new life
	told   string        // the last refusal
	toldAt time.Duration
}

// hello is a step of the handshake that waits to be sent.
type hello struct {
	to   uint64
	body []byte // step and message
}

// answer is a handshake that was answered, and the stub by which it came.
type answer struct {
	*handshake.Answer
	stub message.URL
}

// New is the pairing of the runtime self, as local, with remote, before it is known.
func New(o Options, self, remote message.URL, local *handshake.Local) Pairing {
	return Pairing{o: o, self: self, remote: remote, local: local, helloWait: o.ProbeMin}
}

// Change is what has changed, and what the owner has to do about it.
type Change struct {
	Adopted bool     // a handshake has ended: there is another peer, or there are other keys
	Before  uint64   // then: the peer before; 0: none
	Dropped bool     // what came counts for nothing
	Answer  bool     // the peer is to be told that this side has keys: any frame does
	Probe   bool     // the peer is to be asked whether it lives
	Wake    bool     // there is something to send because of it
	Replies [][]byte // hellos that answer what came, and wait to be sent by the path in use: they are to go by the path that it came by, too
	Refused error    // somebody has not proven who it is, and that was not said just before
}

// Peer is the incarnation of the remote runtime; 0: none is known yet.
func (p *Pairing) Peer() uint64 { return p.peer }

// Own is this runtime's incarnation in this session.
func (p *Pairing) Own() uint64 { return p.local.Incarnation }

// TellsRefusals tells whether the peer tells its senders itself of what is refused here.
func (p *Pairing) TellsRefusals() bool { return p.abilities&handshake.TellsRefusals != 0 }

// Keys are those that frames of the peer are sealed with; nil: there is no peer.
func (p *Pairing) Keys() *handshake.Keys { return p.keys }

// PairedAt is when the last handshake ended; 0: none has.
func (p *Pairing) PairedAt() time.Duration { return p.pairedAt }

// Opening tells whether a handshake is under way that this side wants.
func (p *Pairing) Opening() bool { return p.offer != nil || p.asking }

// Holding tells whether no message is to be sent now.
func (p *Pairing) Holding() bool { return p.holdTo != 0 }

// WantsHello tells whether a hello waits to be sent.
func (p *Pairing) WantsHello() bool { return len(p.hellos) > 0 }

// AppendHello appends the next hello that is to be sent to b; false: there is none.
func (p *Pairing) AppendHello(b []byte) ([]byte, bool) {
	if len(p.hellos) == 0 {
		return b, false
	}
	h := p.hellos[0]
	p.hellos = append(p.hellos[:0], p.hellos[1:]...)
	return p.appendHello(b, h), true
}

func (p *Pairing) appendHello(b []byte, h hello) []byte {
	b = wire.AppendHead(b, wire.Head{Kind: wire.Hello, From: p.Own(), To: h.to})
	return append(b, h.body...)
}

// Stamp is the head of the next frame for the peer, of about size bytes, and what seals it.
func (p *Pairing) Stamp(kind wire.Kind, size int) (h wire.Head, aead cipher.AEAD) {
	h = wire.Head{Kind: kind, From: p.Own(), To: p.peer}
	aead = p.keys.Out.Stamp(&h, p.o.Keys, size)
	return h, aead
}

// Fields fills in what a frame says of keys.
func (p *Pairing) Fields(f *wire.Fields) { f.Epoch = uint64(p.keys.In.Epoch) }

// Seen takes what a frame of the peer says of our keys. It is false where that cannot be.
func (p *Pairing) Seen(epoch uint64) bool {
	out := &p.keys.Out
	if epoch > uint64(out.Epoch) {
		return false
	}
	out.Seen = max(out.Seen, uint32(epoch))
	return true
}

// Heard notes that a frame of the peer was opened: it lives, and has keys.
func (p *Pairing) Heard() {
	p.holdTo = 0
	if p.confirmed {
		return
	}
	p.confirmed, p.third = true, nil
	if !p.Opening() {
		p.helloDue = 0
	}
}

// NewPath has what was not answered said again by another path.
func (p *Pairing) NewPath(now time.Duration) {
	if p.Opening() || p.third != nil && !p.confirmed {
		p.helloDue, p.helloWait = now, p.o.ProbeMin
	}
}

// Adopt makes the incarnation of a handshake that has ended the peer, and says which one was before. confirmed: it has keys.
// Where the peer is the same only the keys are new.
func (p *Pairing) Adopt(got handshake.Agreed, confirmed bool, now time.Duration) (before uint64) {
	before = p.peer
	p.peer, p.keys, p.third, p.confirmed = got.Incarnation, got.Keys, got.Third, confirmed
	p.abilities = got.Abilities
	p.holdTo, p.cookie, p.pairedAt = 0, nil, now
	if before != got.Incarnation { // else strangers who make handshakes begin would start from nothing with each of them
		p.limits = nil
	}
	if before != 0 && before != got.Incarnation {
		p.dead[p.deadAt] = before
		p.deadAt = (p.deadAt + 1) % len(p.dead)
	}
	if !confirmed {
		p.helloWait, p.helloN = p.o.ProbeMin, 0
		p.repeat(p.peer, now)
	}
	return before
}

// Tick begins a handshake where one is needed, and repeats what was not answered when it is time. waiting: something is to be
// sent to the peer.
func (p *Pairing) Tick(waiting bool, now time.Duration) (c Change) {
	if p.holdTo != 0 && now >= p.holdTo {
		p.holdTo = 0
	}
	if p.peer == 0 && waiting {
		p.begin(&c, 0, now)
	}
	if p.helloDue == 0 || now < p.helloDue {
		return c
	}
	enough := p.helloN >= helloTries
	switch {
	case enough && p.Opening() && (!waiting || p.peer != 0):
		p.offer, p.asking, p.helloDue = nil, false, 0 // the peer is the one that we know, or nobody answers
	case enough && !p.Opening() && !waiting:
		p.helloDue = 0 // whoever has something to say will say that it lacks keys
	case enough && !p.Opening():
		p.helloDue = 0
		p.begin(&c, p.peer, now)
	default:
		p.repeat(0, now)
	}
	return c
}

// Due calls at for each time at which Tick has something to do; 0: never.
func (p *Pairing) Due(at func(time.Duration)) {
	at(p.helloDue)
	at(p.holdTo)
}

// Rest gives back what can be made again.
func (p *Pairing) Rest() {
	p.hellos = nil
	if p.keys != nil {
		p.keys.Rest()
	}
}

// initiator tells whether it is this side that begins handshakes with the remote runtime.
func (p *Pairing) initiator() bool { return p.self < p.remote }

// begin begins a handshake, unless one is under way. to is who is meant, 0: whoever lives there.
func (p *Pairing) begin(c *Change, to uint64, now time.Duration) {
	if p.Opening() {
		return
	}
	if p.initiator() {
		offer, err := p.local.Offer(p.self, p.remote, handshake.NewSecret())
		if err != nil {
			p.refuse(c, err, now)
			return
		}
		p.offer = offer
	} else {
		p.asking = true
	}
	p.hold(c, now)
	p.helloWait, p.helloN = p.o.ProbeMin, 0
	p.repeat(to, now)
}

// repeat says again what the other side has to answer.
func (p *Pairing) repeat(to uint64, now time.Duration) {
	switch {
	case p.offer != nil:
		p.sayBoth(to, handshake.StepFirst, p.offer.First)
	case p.asking:
		p.sayBoth(to, handshake.StepAsk, nil)
	default:
		p.say(p.peer, handshake.StepThird, p.third)
	}
	p.helloN++
	p.helloDue = now + p.helloWait
	p.helloWait = min(2*p.helloWait, p.o.ProbeMax)
}

// sayBoth says what a side under load wants a cookie with: with it, where there is one, and without.
func (p *Pairing) sayBoth(to uint64, step byte, m []byte) {
	if p.cookie != nil {
		whole := handshake.Cover(p.cookie, step, m)
		p.say(to, whole[0], whole[1:])
	}
	p.say(to, step, m)
}

// say queues a hello. When there are too many it is dropped: whoever needs it asks again.
func (p *Pairing) say(to uint64, step byte, m []byte) {
	h := hello{to: to, body: append([]byte{step}, m...)}
	if len(p.said) < maxHellos {
		p.said = append(p.said, h)
	}
	same := func(other hello) bool { return other.to == h.to && bytes.Equal(other.body, h.body) }
	if len(p.hellos) < maxHellos && !slices.ContainsFunc(p.hellos, same) {
		p.hellos = append(p.hellos, h)
	}
}

// hold keeps messages back for a moment where the peer seems to have a new life: what the old one is sent would be in doubt. A
// peer that lives answers the probe and ends it.
func (p *Pairing) hold(c *Change, now time.Duration) {
	if p.peer != 0 {
		p.holdTo, c.Probe = now+p.o.ProbeMin, true
	}
}

// refuse says why a handshake cannot be, where it is somebody's doing and not an accident.
func (p *Pairing) refuse(c *Change, err error, now time.Duration) {
	if !errors.Is(err, runtimekey.ErrCertificate) || p.told == err.Error() && now < p.toldAt+toldPause {
		return
	}
	p.told, p.toldAt, c.Refused = err.Error(), now, err
}

// buried tells whether the incarnation was replaced by a later one.
func (p *Pairing) buried(incarnation uint64) bool { return slices.Contains(p.dead[:], incarnation) }
