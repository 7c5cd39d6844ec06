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
// # The life of an object
//
// An object is reported, or its reporter is away, or it is gone; package life has the states and who decides. The end of the
// reporter's application does not end the object before its grace time: its address stays registered, and those who have been allowed
// to observe it before may go on, or come back. Others are refused with 504 until the reporter is back. The reporter, that is the
// component with the same address, gets the object by a create with that address: with "wish" it takes the value that is here, with
// "resume" it brings its own. With both it brings its own too, and the address is one that was wished for: it stays this runtime's.
//
// The reporter's side publishes a forward {"status": "away" or "live", "away": since} from U to U/changes, and says the same in the
// metadata ("grace", "keep", "away"). While objects are observed, the observer's side asks the sync manager of their runtime every 30 s
// whether it is there: a read to <runtime>/sm, whose answer says which life of that sync manager it is ("life"). A deletion says why
// ("end"). What was published is given up where it cannot be brought to a runtime for 30 s, or is refused there, and nothing may follow
// it. So the reporter's side remembers of which objects that was (package missed), and says so in its next answer: "missed", with the
// objects, or "all", and a "number"; they are fetched anew, and the next question says the life and the number as "heard". An observer
// that is kicked is told by a delete from U/subscription to its runtime's <runtime>/sm. Sync managers of earlier
// versions ignore the members, the forward and the delete; one that says no grace time is not asked.
//
// What is to outlive the runtime is in a folder, see package kept: a change of such an object is written before it counts. When the
// runtime starts, these objects are there, without their reporters; the grace time begins again.
//
// # Guarantees
//
// Updates of one object reach each observer in the order of their versions, each once. An update that is not the next
// one is either old, and ignored, or shows that some were missed: then the object is subscribed to again and
// its observers get the whole value. Each update has a hash of the value with the change in it (package internal/object): a copy
// that has another one after the update is fetched anew in the same way, six times a minute at most, and a reporter whose change
// makes another value here is asked for the whole by 409. A runtime that knows no hashes leaves them out, and ignores them. The same happens for an observer that is too slow for its queue.
// The end of an object comes behind its updates; of an observer that is slow at that moment, at most 64 KiB of them are kept.
// The address of an object that ends is given up when its last updates and its end have left for other runtimes, at most 5 s later:
// what comes from an address that has been given up is not believed.
// Only its reporter changes, deletes or invites to an object. An update at U/changes that is not from U is refused.
//
// Nothing that waits for an answer from elsewhere holds up a listener: such work runs in goroutines that
// [Manager.Close] waits for. Their number is bounded, for each sender and in all; what comes on top is dropped.
//
// # Limits
//
// Those of package internal/object; see also [Limits].
package syncmanager
