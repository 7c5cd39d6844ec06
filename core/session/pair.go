package session

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/sdk/proof"
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
	firstRoom   = 64 << 10              // bytes sent before the peer has said what it takes
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

// disturbed tells whether something that anybody can have sent by a path may make us act now. It may at once, and then,
// until a handshake ends with another peer, ever more seldom, so that a path that cheats cannot keep us from work; what
// comes by other paths is not held back by it. mu is held.
func (s *session) disturbed(path Path, now time.Duration) bool {
	l := s.limit(path)
	if l.at != 0 && now < l.at+l.wait {
		return false
	}
	if l.at == 0 || now > l.at+4*s.o.ProbeMax {
		l.wait = strangeMin / 2
	}
	l.at, l.wait = now, min(2*l.wait, s.o.ProbeMax)
	return true
}

// hold keeps messages back for a moment where the peer seems to have a new life: what the old one is sent would be in
// doubt. A peer that lives answers the probe and ends it. mu is held.
func (s *session) hold(now time.Duration) {
	if s.peer != 0 {
		s.holdTo, s.probeNow = now+s.o.ProbeMin, true
	}
}

// strange takes a sealed frame that is not of the pair: of another incarnation, or for another one of ours. mu is held.
func (s *session) strange(path Path, from uint64, now time.Duration) {
	s.dropped++
	switch {
	case s.buried(from) || from == s.peer && s.confirmed: // late
	case !s.disturbed(path, now):
	case s.opening():
		s.repeat(from, now)
	case from == s.peer:
		s.repeat(from, now)
	default:
		s.pair(from, now)
	}
}

// unopened takes a frame that pretends to be the peer's and does not open. mu is held.
func (s *session) unopened(path Path, now time.Duration) {
	s.dropped++
	if !s.confirmed && !s.opening() && s.disturbed(path, now) { // it may lack the third message
		s.repeat(s.peer, now)
	}
}

// greeted takes a hello. mu is held.
func (s *session) greeted(path Path, h head, body []byte, now time.Duration) {
	step, m, _, ok := uncover(body)
	if !ok || s.buried(h.from) {
		s.dropped++
		return
	}
	var err error
	switch {
	case step == stepAsk && s.initiator():
		s.wanted(path, h.from, now)
	case step == stepFirst && !s.initiator():
		err = s.offered(path, h, m, now)
	case step == stepSecond && s.initiator() && s.offer != nil && h.to == s.local.incarnation:
		err = s.answered(path, h, m, now)
	case step == stepThird && !s.initiator() && h.to == s.local.incarnation:
		err = s.concluded(path, h, m, now)
	case step == stepCookie && len(m) == cookieSize && h.from != s.peer:
		s.cookied(path, h.from, m, now)
	case step == stepSecond && s.initiator() && h.from != s.peer:
		s.wanted(path, h.from, now) // late, or somebody answers what we did not say now: there may be a new life
	default:
		s.dropped++
	}
	if err != nil {
		s.dropped++
		s.refuse(err, now)
	}
}

// wanted takes a responder's wish for a handshake. A peer of which we know that it has keys cannot have lost them: such
// a wish is late, or forged. mu is held.
func (s *session) wanted(path Path, from uint64, now time.Duration) {
	switch {
	case from == s.peer && s.confirmed:
		s.dropped++
	case !s.disturbed(path, now):
	case s.opening():
		s.repeat(from, now)
	case from == s.peer && s.helloN < thirdTries:
		s.repeat(from, now)
	default:
		s.pair(from, now)
	}
}

// cookied takes the answer of a runtime under load, which does nothing before it is said again with this cookie. mu is
// held.
func (s *session) cookied(path Path, from uint64, cookie []byte, now time.Duration) {
	if !s.disturbed(path, now) {
		return
	}
	s.cookie = bytes.Clone(cookie)
	if s.opening() {
		s.repeat(from, now)
	} else {
		s.pair(from, now)
	}
}

// offered takes the first message of a handshake. mu is held.
func (s *session) offered(path Path, h head, m []byte, now time.Duration) error {
	i := slices.IndexFunc(s.answers, func(a *answer) bool { return bytes.Equal(a.first, m) })
	if i < 0 {
		if err := s.worth(path, m, firstSize, now); err != nil {
			return err
		}
		made, err := s.local.answer(s.all.self, s.remote, m, newSecret())
		if err != nil {
			return err
		}
		if made.from != h.from {
			return errFields
		}
		made.stub = path.Stub
		i = s.answer(made)
		if s.peer != 0 && h.from != s.peer && s.disturbed(path, now) {
			s.hold(now)
		}
	}
	s.say(h.from, stepSecond, s.answers[i].second)
	return nil
}

// answer adds a handshake to those that were answered. One that came by the same stub makes room, so that what comes by
// others does not lose its place. mu is held.
func (s *session) answer(made *answer) (at int) {
	same := func(a *answer) bool { return a.stub == made.stub }
	n := 0
	for _, a := range s.answers {
		if same(a) {
			n++
		}
	}
	switch i := slices.IndexFunc(s.answers, same); {
	case n >= maxAnswers:
		s.answers = slices.Delete(s.answers, i, i+1)
	case len(s.answers) >= maxAnswers*maxPathsEach:
		s.answers = slices.Delete(s.answers, 0, 1)
	}
	s.answers = append(s.answers, made)
	return len(s.answers) - 1
}

// answered takes the second message, which ends the initiator's part. mu is held.
func (s *session) answered(path Path, h head, m []byte, now time.Duration) error {
	if err := s.worth(path, m, secondSize, now); err != nil {
		return err
	}
	got, err := s.offer.second(m)
	if err != nil {
		return err
	}
	if got.incarnation != h.from || h.from == s.local.incarnation || s.buried(h.from) {
		return errFields
	}
	s.offer, s.helloDue = nil, 0
	s.poke() // messages were held back
	if h.from == s.peer && s.confirmed {
		s.holdTo = 0
		return nil // it lives, and has keys
	}
	s.adopt(got, false, now)
	s.helloWait, s.helloN = s.o.ProbeMin, 0
	s.repeat(s.peer, now)
	return nil
}

// concluded takes the third message, which ends the responder's part. All other handshakes that were begun before end
// with it: none of them may replace what is newer. mu is held.
func (s *session) concluded(path Path, h head, m []byte, now time.Duration) error {
	if h.from == s.peer && bytes.Equal(m, s.third) {
		s.answerSoon() // any frame of ours ends the repetition
		return nil
	}
	err := errHandshake
	for _, a := range s.answers {
		if a.from != h.from {
			continue
		}
		if err := s.worth(path, m, thirdSize, now); err != nil {
			return err
		}
		var got agreed
		if got, err = a.third(m); err == nil {
			s.answers, s.asking, s.helloDue = nil, false, 0
			s.adopt(got, true, now)
			return nil
		}
		if errors.Is(err, proof.ErrCertificate) {
			return err
		}
	}
	if !s.opening() && s.disturbed(path, now) { // its handshake is gone: it has to begin a new one
		s.say(h.from, stepAsk, nil)
	}
	return err
}

// worth tells whether a message of the handshake may cost us the time to compute an answer. mu is held.
func (s *session) worth(path Path, m []byte, size int, now time.Duration) error {
	at := s.all.epoch.Add(now)
	if len(m) < size {
		return errShort
	}
	if !s.limit(path).handshakes.AllowN(at, 1) {
		return errBusy
	}
	s.all.strangersMu.Lock()
	defer s.all.strangersMu.Unlock()
	if !s.all.allowance.take(path.Stub, at) {
		return errBusy
	}
	return nil
}

// refuse says why a handshake cannot be, where it is somebody's doing and not an accident. mu is held.
func (s *session) refuse(err error, now time.Duration) {
	e, ok := impostor(err)
	if !ok || s.told == err.Error() && now < s.toldAt+toldPause {
		return
	}
	s.told, s.toldAt = err.Error(), now
	e.Path = s.lastIn
	s.event(e)
}

// impostor is the event of a handshake that has failed with err, where somebody has not proven to be who it says.
func impostor(err error) (Event, bool) {
	if !errors.Is(err, proof.ErrCertificate) {
		return Event{}, false
	}
	return Event{Kind: Untrusted, Why: err.Error() + ": somebody on the way pretends to be this runtime, or its data is damaged; no message was exchanged with it"}, true
}

// buried tells whether the incarnation was replaced by a later one. mu is held.
func (s *session) buried(incarnation uint64) bool {
	return slices.Contains(s.dead[:], incarnation)
}

// adopt makes the incarnation of a handshake that has ended the peer. Messages that were sent to the one before are in
// doubt; those that never were stay in the ring and go to the new one. Numbers go on, so that none is ever used twice.
// Where the peer is the same, only the keys are new; where it is in the same life it has dropped the session before, and
// has accepted nothing that it has not told of. mu is held.
func (s *session) adopt(got agreed, confirmed bool, now time.Duration) {
	before := s.peer
	s.peer, s.keys, s.third, s.confirmed = got.incarnation, got.keys, got.third, confirmed
	s.limits, s.holdTo, s.cookie, s.pairedAt = nil, 0, nil, now
	switch {
	case before == got.incarnation:
		s.rewind()
		s.ackNow, s.resumeNow = true, true
		s.restartProbe(now)
		s.poke()
		return
	case before == 0:
		s.event(Event{Kind: Opened, Path: s.path})
	case sameLife(before, got.incarnation):
		s.bury(before)
		s.newAccount(now)
		s.lost(0, s.ring.base, Event{Kind: Expired, MayHaveArrived: true, Why: "the remote runtime had it, and has dropped the session"})
		s.event(Event{Kind: Renewed, Path: s.path})
	default:
		s.resets++
		s.bury(before)
		s.newAccount(now)
		s.reset()
	}
	s.rewind()
	s.sent, s.room = s.ring.base, firstRoom
	s.seen, s.next = 0, 1
	s.seenOn = Path{}
	s.stay()
	s.resumeGen, s.resumeNow = 0, false
	s.unackedIn, s.bytesIn, s.ackDue = 0, 0, 0
	s.ackNow = true // tells the peer that we are paired, and our room
	s.restartProbe(now)
	s.poke()
}

// bury notes an incarnation that was replaced. mu is held.
func (s *session) bury(incarnation uint64) {
	s.dead[s.deadAt] = incarnation
	s.deadAt = (s.deadAt + 1) % len(s.dead)
}

// reset reports what the peer's last life was sent and is not known to have taken. mu is held.
func (s *session) reset() {
	told := len(s.events)
	s.inDoubt(s.sent, Reset, "the remote runtime started again")
	if len(s.events) == told {
		s.event(Event{Kind: Reset, Path: s.path, Why: "the remote runtime started again"})
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
	if s.peer == 0 && !s.ring.empty() {
		s.pair(0, now)
	}
	if s.helloDue == 0 || now < s.helloDue {
		return
	}
	enough := s.helloN >= helloTries
	switch {
	case enough && s.opening() && (s.ring.empty() || s.peer != 0):
		s.offer, s.asking, s.helloDue = nil, false, 0 // the peer is the one that we know, or nobody answers
	case enough && !s.opening() && s.ring.empty():
		s.helloDue = 0 // whoever has something to say will say that it lacks keys
	case enough && !s.opening():
		s.helloDue = 0
		s.pair(s.peer, now)
	default:
		s.repeat(0, now)
	}
}
