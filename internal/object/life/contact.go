package life

import "time"

// Times of a [Contact]. So the end of a runtime is noticed within a minute.
const (
	AskEvery   = 30 * time.Second // a runtime that answers
	AskTime    = 10 * time.Second // for an answer
	againAfter = 2 * time.Second  // one that has not answered once
	lostFirst  = 5 * time.Second  // one that is lost; then twice as long each time
	lostLast   = time.Minute      // but not longer
)

// Contact is the contact with a remote runtime whose objects are observed here: it is asked now and then whether it is there. It is
// made by [NewContact].
type Contact struct {
	heard  time.Time // when it answered last
	next   time.Time // when it is to be asked
	asking bool
	failed int           // questions without an answer since
	pause  time.Duration // while it is lost
	life   string        // which of its lives has answered
}

// NewContact is a contact with a runtime that was heard just now.
func NewContact(now time.Time) *Contact { return &Contact{heard: now, next: now.Add(AskEvery)} }

// Due is when the runtime is to be asked; ok is false while it is.
func (c *Contact) Due() (at time.Time, ok bool) { return c.next, !c.asking }

// Ask begins a question. Answered or Failed ends it.
func (c *Contact) Ask() { c.asking = true }

// Answered is told that the runtime has answered, and which of its lives it is. returned tells whether it was lost, or has begun another
// life meanwhile: then it may have forgotten who observes.
func (c *Contact) Answered(now time.Time, life string) (returned bool) {
	returned = c.failed >= 2 || c.life != "" && c.life != life
	*c = Contact{heard: now, next: now.Add(AskEvery), life: life}
	return returned
}

// Failed is told that the runtime has not answered. lost tells that it counts as lost from now on: twice it has not.
func (c *Contact) Failed(now time.Time) (lost bool) {
	c.asking = false
	c.failed++
	switch c.failed {
	case 1:
		c.next = now.Add(againAfter)
		return false
	case 2:
		c.pause = lostFirst
	default:
		c.pause = min(2*c.pause, lostLast)
	}
	c.next = now.Add(c.pause)
	return c.failed == 2
}

// Heard is when the runtime answered last; lost tells whether it counts as lost.
func (c *Contact) Heard() (at time.Time, lost bool) { return c.heard, c.failed >= 2 }
