package session

import (
	"bytes"
	"slices"
	"time"
)

// Pairing: two incarnations make a handshake, in which each proves that it is the runtime of its URL and that it lives
// now, before any other frame of theirs counts. The runtime with the lower URL begins; the other asks it to. Everything
// in a hello is a stranger's word until the handshake has ended, so nothing that the pair in use has is given up before.

const (
	maxHellos   = 4                     // hellos that wait for the pump
	maxAnswers  = 4                     // handshakes that the initiator has begun and not ended, by one path
	helloTries  = 5                     // of a hello when nothing waits to be sent
	thirdTries  = 3                     // of the third message, when the responder asks for a handshake all the same
	strangeMin  = 50 * time.Millisecond // between two hellos because of what anybody can have sent; doubles
	resumePause = 50 * time.Millisecond // between two requests for the same generation
	toldPause   = 30 * time.Second      // between two events for the same refusal
)

// helloTo is a hello that waits for the pump.
type helloTo struct {
	to   uint64
	body []byte // step and message
}

// pairing is a session's part that knows with whom it speaks. The session's mu guards it.
type pairing struct {
	peer   uint64    // the incarnation that we are paired with; 0: none
	keys   *keys     // nil while peer is 0
	dead   [8]uint64 // the last ones that we were paired with before
	deadAt int

	offer   *offer    // the handshake that we, the initiator, have begun; nil: none
	offerTo uint64    // whom we mean, 0: whoever lives there
	asking  bool      // we, the responder, want a handshake
	answers []*answer // the handshakes that we, the responder, have answered: maxAnswers by one path
	cookie  []byte    // that the peer wants to hear, nil: none
	// third is the last message of the handshake with peer. The initiator keeps it until a frame shows that the
	// responder has it, and repeats it; the responder keeps it to know it again.
	third     []byte
	confirmed bool // the peer has keys: it has sealed a frame with them, or is the initiator

	hellos    []helloTo
	helloDue  time.Duration // when the last one is repeated
	helloWait time.Duration
	helloN    int // how often it was sent

	limits   []*pathLimit  // of what comes by each path and is not proven; at most maxPathsEach
	pairedAt time.Duration // when the last handshake ended
	holdTo   time.Duration // no message is sent before: the peer seems to have a new life
	told     string        // the last refusal
	toldAt   time.Duration
}

// initiator tells whether it is this side that begins handshakes with the remote runtime.
func (s *session) initiator() bool { return s.all.self < s.remote }

// opening tells whether a handshake is under way that this side wants. mu is held.
func (s *session) opening() bool { return s.offer != nil || s.asking }

// pair begins a handshake, unless one is under way. to is who is meant, 0: whoever lives there. mu is held.
func (s *session) pair(to uint64, now time.Duration) {
	if s.opening() {
		return
	}
	if s.initiator() {
		offer, err := s.local.offer(s.all.self, s.remote, newSecret())
		if err != nil {
			s.refuse(err, now)
			return
		}
		s.offer, s.offerTo = offer, to
	} else {
		s.asking = true
	}
	s.hold(now)
	s.helloWait, s.helloN = s.o.ProbeMin, 0
	s.repeat(to, now)
}

// repeat says again what the other side has to answer. mu is held.
func (s *session) repeat(to uint64, now time.Duration) {
	switch {
	case s.offer != nil:
		s.sayBoth(to, stepFirst, s.offer.first)
	case s.asking:
		s.sayBoth(to, stepAsk, nil)
	default:
		s.say(s.peer, stepThird, s.third)
	}
	s.helloN++
	s.helloDue = now + s.helloWait
	s.helloWait = min(2*s.helloWait, s.o.ProbeMax)
}

// sayBoth says what a side under load wants a cookie with: with it, where there is one, and without. mu is held.
func (s *session) sayBoth(to uint64, step byte, m []byte) {
	if s.cookie != nil {
		whole := cover(s.cookie, step, m)
		s.say(to, whole[0], whole[1:])
	}
	s.say(to, step, m)
}

// say queues a hello for the pump. When there are too many it is dropped: whoever needs it asks again. mu is held.
func (s *session) say(to uint64, step byte, m []byte) {
	h := helloTo{to: to, body: append([]byte{step}, m...)}
	same := func(other helloTo) bool { return other.to == h.to && bytes.Equal(other.body, h.body) }
	if len(s.hellos) < maxHellos && !slices.ContainsFunc(s.hellos, same) {
		s.hellos = append(s.hellos, h)
	}
	s.poke()
}

// hold keeps messages back for a moment where the peer seems to have a new life: what the old one is sent would be in
// doubt. A peer that lives answers the probe and ends it. mu is held.
func (s *session) hold(now time.Duration) {
	if s.peer != 0 {
		s.holdTo = now + s.o.ProbeMin
		s.paths.Ask()
	}
}

// adopt makes the incarnation of a handshake that has ended the peer. Messages that were sent to the one before are in
// doubt; those that never were stay in the ring and go to the new one. Numbers go on, so that none is ever used twice.
// Where the peer is the same, only the keys are new; where it is in the same life it has dropped the session before, and
// has accepted nothing that it has not told of. mu is held.
func (s *session) adopt(got agreed, confirmed bool, now time.Duration) {
	before := s.peer
	s.peer, s.keys, s.third, s.confirmed = got.incarnation, got.keys, got.third, confirmed
	s.holdTo, s.cookie, s.pairedAt = 0, nil, now
	if before != got.incarnation { // else strangers who make handshakes begin would start from nothing with each of them
		s.limits = nil
	}
	switch {
	case before == got.incarnation:
		s.send.Rewind()
		s.ackNow, s.resumeNow = true, true
		s.restartProbe(now)
		s.poke()
		return
	case before == 0:
		s.event(Event{Kind: Opened, Path: s.paths.Used()})
	case sameLife(before, got.incarnation):
		s.forgetClaims()
		s.bury(before)
		s.newAccount(now)
		s.given(s.send.DropAcknowledged(), Expired, "the remote runtime had it, and has dropped the session")
		s.event(Event{Kind: Renewed, Path: s.paths.Used()})
	default:
		s.resets++
		s.forgetClaims()
		s.bury(before)
		s.newAccount(now)
		s.reset()
	}
	s.send.Restart()
	s.seen, s.next = 0, 1
	s.paths.NewPeer()
	s.stayed()
	s.resumeGen, s.resumeNow = 0, false
	s.unackedIn, s.bytesIn, s.ackDue = 0, 0, 0
	s.ackNow = true // tells the peer that we are paired, and our room
	s.restartProbe(now)
	s.poke()
}

// forgetClaims forgets what this side and the peer's last session have told each other of addresses. mu is held.
func (s *session) forgetClaims() {
	s.send.ForgetAnnounced()
	s.claims = claims{}
}

// bury notes an incarnation that was replaced. mu is held.
func (s *session) bury(incarnation uint64) {
	s.dead[s.deadAt] = incarnation
	s.deadAt = (s.deadAt + 1) % len(s.dead)
}

// reset reports what the peer's last life was sent and is not known to have taken. mu is held.
func (s *session) reset() {
	d := s.send.DropSent()
	s.given(d, Reset, "the remote runtime started again")
	if len(d.Sent) == 0 {
		s.event(Event{Kind: Reset, Path: s.paths.Used(), Why: "the remote runtime started again"})
	}
}

// newAccount forgets what is owed to the peer's last life. Its messages that are here go on to their listeners. mu is
// held.
func (s *session) newAccount(now time.Duration) {
	s.tellHeld = true // nothing of this goes to the new life
	s.collect(now)
	s.account.mu.Lock()
	s.account.closed, s.account.owed, s.account.spans = true, nil, 0
	s.account.mu.Unlock()
	s.account = newAccount(s)
	s.tellHeld = false
}

// confirm notes that the peer has sealed a frame: it has keys. mu is held.
func (s *session) confirm() {
	if s.confirmed {
		return
	}
	s.confirmed, s.third = true, nil
	if !s.opening() {
		s.helloDue = 0
	}
}

// tickHello begins a handshake where one is needed, and repeats what was not answered when it is time. mu is held.
func (s *session) tickHello(now time.Duration) {
	if s.holdTo != 0 && now >= s.holdTo {
		s.holdTo = 0
	}
	if s.peer == 0 && !s.send.Empty() {
		s.pair(0, now)
	}
	if s.helloDue == 0 || now < s.helloDue {
		return
	}
	enough := s.helloN >= helloTries
	switch {
	case enough && s.opening() && (s.send.Empty() || s.peer != 0):
		s.offer, s.asking, s.helloDue = nil, false, 0 // the peer is the one that we know, or nobody answers
	case enough && !s.opening() && s.send.Empty():
		s.helloDue = 0 // whoever has something to say will say that it lacks keys
	case enough && !s.opening():
		s.helloDue = 0
		s.pair(s.peer, now)
	default:
		s.repeat(0, now)
	}
}
