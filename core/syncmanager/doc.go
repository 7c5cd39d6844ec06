// Package syncmanager is the runtime's sync manager, at <runtime>/sm: it connects the synchers of this runtime's
// components with the sync managers of other runtimes, so that observers everywhere have a copy of a reporter's data
// object that follows it (specification, "Reporter-observer protocol"; the messages between a syncher and its sync
// manager are in package syncher's doc).
//
// # Between sync managers
//
// U is the object's address. The reporter's side listens at U/subscription for subscribe and unsubscribe and at U for
// read, at U/children/<name> for child objects, invites from U/subscription, and publishes updates from U, and the deletion from U/subscription, to
// U/changes. The observer's side listens at U/changes. A remote runtime that has subscribed is made known to the
// MessageBus as one that gets what is posted to U/changes, whatever the number of its observers; each of them is
// allowed, or not, by the reporter.
//
// Both sides keep a replica of each object: its metadata, data and version. So the value in the answer to a subscribe
// and the updates behind it fit together without a gap, whoever is fast or slow.
//
// # Guarantees
//
// Updates of one object reach each observer in the order of their versions, each once. An update that is not the next
// one is either old, and ignored, or shows that some were missed: then the object is subscribed to again and
// its observers get the whole value. The same happens for an observer that is too slow for its queue.
// The end of an object comes behind its updates; of an observer that is slow at that moment, at most 64 KiB of them are kept.
// Only its reporter changes, deletes or invites to an object. An update at U/changes that is not from U is ignored.
//
// Nothing that waits for an answer from elsewhere holds up a listener: such work runs in goroutines that
// [Manager.Close] waits for. Their number is bounded, for each sender and in all; what comes on top is dropped.
//
// # Limits
//
// Those of package internal/object; see also [Limits].
package syncmanager
