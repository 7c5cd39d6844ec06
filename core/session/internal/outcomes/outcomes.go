package outcomes

import "time"

// askPause is how long a peer that has acknowledged messages, and has not said that they were taken, may be silent before
// it is asked. Its word may have been lost for so long that it was given up: it is said again to a peer that is heard of.
const askPause = 15 * time.Second

// silence is how many times the time to live a peer that is asked may be silent before its messages are given up.
const silence = 10

// Silence is how long a peer may be silent before it counts as gone for good, where messages live for ttl; 0: for ever.
func Silence(ttl time.Duration) time.Duration {
	if ttl <= 0 {
		return 0
	}
	return max(silence*ttl, 2*askPause)
}

// Options are the times of outcomes. All have to be set.
type Options struct {
	TTL      time.Duration // how long a message may stay unacknowledged; at most 0: for ever
	Delay    time.Duration // how long a report waits for others
	Forgiven time.Duration // how long nobody may have looked at the time without the peer counting as silent
}

// Outcomes is when the peer is told what became of its messages, and asked about ours.
type Outcomes struct {
	o       Options
	tellDue time.Duration // when the peer is to be told; 0: nothing is owed
	tellNow bool
	held    bool // the peer does not acknowledge reports: none is made before it is heard of

	heardAt time.Duration // when the last frame of the peer came
	askedAt time.Duration // when the first question that is not answered was asked
	askDue  time.Duration
}

// New is for a peer that nothing was heard of yet.
func New(o Options) Outcomes { return Outcomes{o: o} }

// Owe notes that something is owed: the peer is told in a moment. It says when, where it was not known before; else 0.
func (o *Outcomes) Owe(now time.Duration) (due time.Duration) {
	if o.tellDue != 0 {
		return 0
	}
	o.tellDue = now + o.o.Delay
	return o.tellDue
}

// Hurry has the peer told at once.
func (o *Outcomes) Hurry() { o.tellNow = true }

// HurryOwed is Hurry where something is owed.
func (o *Outcomes) HurryOwed() { o.tellNow = o.tellDue != 0 }

// Owes tells whether the peer is to be told something.
func (o *Outcomes) Owes() bool { return o.tellNow || o.tellDue != 0 }

// Tells tells whether the peer is to be told now.
func (o *Outcomes) Tells(now time.Duration) bool {
	return o.tellNow || o.tellDue != 0 && now >= o.tellDue
}

// Told notes that the peer was told what it may be told now.
func (o *Outcomes) Told() { o.tellNow, o.tellDue = false, 0 }

// MayTell tells whether a report may be made: the peer is there.
func (o *Outcomes) MayTell() bool { return !o.held }

// Hold has no report made before the peer is heard of.
func (o *Outcomes) Hold() { o.held = true }

// Release ends Hold: there is another peer.
func (o *Outcomes) Release() { o.held = false }

// Heard notes that a frame of the peer came. It is true where it is to be told at once what was held.
func (o *Outcomes) Heard(now time.Duration) (tell bool) {
	o.heardAt = now
	if !o.held {
		return false
	}
	o.held, o.tellNow = false, true
	return true
}

// HeardAt is when the last frame of the peer came; 0: none has.
func (o *Outcomes) HeardAt() time.Duration { return o.heardAt }

// Due calls at for each time at which there is something to do; 0: never.
func (o *Outcomes) Due(at func(time.Duration)) {
	at(o.tellDue)
	at(o.askDue)
}

// Question is what to do about a silent peer.
type Question uint8

const (
	Wait   Question = iota // nothing
	Ask                    // ask it for a sign of life
	GiveUp                 // it has probably gone for good: what it had, and is not known to be taken, is in doubt
)

// Tick says what to do about the peer. untaken: it has acknowledged messages and has not said that they were taken.
func (o *Outcomes) Tick(untaken bool, now time.Duration) Question {
	if !untaken {
		o.askDue, o.askedAt = 0, 0
		return Wait
	}
	if o.askDue == 0 || o.heardAt > o.askedAt && o.askedAt != 0 {
		o.askDue, o.askedAt = max(o.heardAt, now-o.o.Forgiven)+askPause, 0
	}
	if now < o.askDue {
		return Wait
	}
	if quiet := o.heardAt + askPause; now < quiet {
		o.askDue = quiet
		return Wait
	}
	if o.askedAt == 0 {
		o.askedAt = now
	}
	if most := Silence(o.o.TTL); most > 0 && now >= o.askedAt+most {
		o.askDue, o.askedAt = 0, 0
		return GiveUp
	}
	o.askDue = now + askPause
	return Ask
}
