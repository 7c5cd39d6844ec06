package session

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/proof"
)

// What comes before a frame is proven to be the peer's: hellos, and sealed frames that are not of the pair.

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
func (s *session) greeted(path Path, h wire.Head, body []byte, now time.Duration) {
	step, m, _, ok := uncover(body)
	if !ok || s.buried(h.From) {
		s.dropped++
		return
	}
	var err error
	switch {
	case step == stepAsk && s.initiator():
		s.wanted(path, h.From, now)
	case step == stepFirst && !s.initiator():
		err = s.offered(path, h, m, now)
	case step == stepSecond && s.initiator() && s.offer != nil && h.To == s.local.incarnation:
		err = s.answered(path, h, m, now)
	case step == stepThird && !s.initiator() && h.To == s.local.incarnation:
		err = s.concluded(path, h, m, now)
	case step == stepCookie && len(m) == cookieSize && h.From != s.peer:
		s.cookied(path, h.From, m, now)
	case step == stepSecond && s.initiator() && h.From != s.peer:
		s.wanted(path, h.From, now) // late, or somebody answers what we did not say now: there may be a new life
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
func (s *session) offered(path Path, h wire.Head, m []byte, now time.Duration) error {
	i := slices.IndexFunc(s.answers, func(a *answer) bool { return bytes.Equal(a.first, m) })
	if i < 0 {
		if err := s.worth(path, m, firstSize, now); err != nil {
			return err
		}
		made, err := s.local.answer(s.all.self, s.remote, m, newSecret())
		if err != nil {
			return err
		}
		if made.from != h.From {
			return wire.ErrFields
		}
		made.stub = path.Stub
		i = s.answer(made)
		if s.peer != 0 && h.From != s.peer && s.disturbed(path, now) {
			s.hold(now)
		}
	}
	s.say(h.From, stepSecond, s.answers[i].second)
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
func (s *session) answered(path Path, h wire.Head, m []byte, now time.Duration) error {
	if err := s.worth(path, m, secondSize, now); err != nil {
		return err
	}
	got, err := s.offer.second(m)
	if err != nil {
		return err
	}
	if got.incarnation != h.From || h.From == s.local.incarnation || s.buried(h.From) {
		return wire.ErrFields
	}
	s.offer, s.helloDue = nil, 0
	s.poke() // messages were held back
	if h.From == s.peer && s.confirmed {
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
func (s *session) concluded(path Path, h wire.Head, m []byte, now time.Duration) error {
	if h.From == s.peer && bytes.Equal(m, s.third) {
		s.answerSoon() // any frame of ours ends the repetition
		return nil
	}
	err := errHandshake
	for _, a := range slices.Concat(s.answers, s.all.answeredStranger(s.remote, h.To, now)) {
		if a.from != h.From {
			continue
		}
		if err := s.worth(path, m, thirdSize, now); err != nil {
			return err
		}
		var got agreed
		if got, err = a.third(m); err == nil {
			s.answers, s.asking, s.helloDue = nil, false, 0
			s.all.forgetStranger(s.remote)
			s.adopt(got, true, now)
			return nil
		}
		if errors.Is(err, proof.ErrCertificate) {
			return err
		}
	}
	if !s.opening() && s.disturbed(path, now) { // its handshake is gone: it has to begin a new one
		s.say(h.From, stepAsk, nil)
	}
	return err
}

// worth tells whether a message of the handshake may cost us the time to compute an answer. mu is held.
func (s *session) worth(path Path, m []byte, size int, now time.Duration) error {
	at := s.all.epoch.Add(now)
	if len(m) < size {
		return wire.ErrShort
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
	e.Path = s.paths.LastIn()
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
