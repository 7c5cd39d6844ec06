package observing

import "time"

// Followed tells whether the reporter's runtime tells of its objects' lives: then the contact with it is to be kept.
func (o *Object) Followed() bool { return o.life.Known() }

// Notice is told what the reporter's runtime publishes: since when the reporter is away, or "", that it is there.
func (o *Object) Notice(away string) {
	if !o.fetching { // else the value that is being fetched says it
		o.told(away)
	}
}

// Lost is told that nothing has come from the reporter's runtime since then.
func (o *Object) Lost(since time.Time) {
	o.life.Lost(since)
	o.tellAway()
}

// Due is when the object ends unless its runtime says something; ok is false where it does not.
func (o *Object) Due() (at time.Time, ok bool) { return o.life.Due() }
