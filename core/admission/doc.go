// Package admission bounds what others cause, so that nobody takes what the rest needs: how much of it there may be at once, because of
// one and because of all, and how fast it may come. It is used for the memory that remote runtimes' claims take, for the look-ups
// that they cause, and for the tasks of the sync manager.
//
//   - [Quota] counts and refuses. It takes no lock and does not wait: whoever owns it guards it.
//   - [Gate] lets callers in and has the others wait; any goroutine uses it.
//   - [Pace] is how fast a gate lets in. It keeps nothing for each name, so that names that somebody makes up cost nothing.
//
// The Message Node has rules of its own for strangers, in its package quota: it refuses with a time to try again instead of
// having callers wait, closes connections to make room, and counts by network address, of which each has a bucket. Here nothing
// that was let in is put out again.
package admission
