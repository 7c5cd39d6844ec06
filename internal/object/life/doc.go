// Package life is the life of a data object: whether its reporter is there, and when the object ends without it.
//
// # States
//
// The object is reported, or its reporter is away since a moment, or it is gone. It is gone for good: an object that is made later at
// the same address is another one.
//
//	reported --(the reporter's application or its runtime ends, or cannot be reached)--> away --(it comes back)--> reported
//	reported or away --(its reporter deletes it)--> gone
//	away --(the grace time is over)--> gone
//
// # Who decides
//
// The reporter's runtime decides while it runs ([Reported]): it notices the end of the reporter's application, counts the grace time,
// and says what has happened to every runtime that observes. Where that runtime has died, or nothing comes from it, each observer's
// runtime decides for its own observers: a [Contact] with the reporter's runtime is kept while objects of it are observed, and an
// object whose runtime is lost ends when it has been away for its grace time, and [UnreachableTime] at least ([Observed]).
//
// Nothing here takes a lock, starts anything, or reads a clock: the owner guards it, and tells it what happened and when.
package life
