// Package syncher gives a component Reporter–Observer data objects (specification, "Reporter-observer protocol"): one
// [Reporter] owns an object and changes it; observers in any runtime have a copy that follows.
//
// A [Syncher] works over any message.Bus, inside a stub or an application; an application gets its own from
// hyperty.Hyperty.Objects. [Syncher.Create] makes an object and [Reporter.Set] changes it; [Syncher.Observe] gives a copy,
// whose changes [Observer.Next] returns.
//
// # Attribute paths
//
// An attribute of the data is named by a path of elements with dots between them: "connectionDescription.sdp",
// "iceCandidates.2". An element for an array is an index. An element that begins with <scheme>:// is an address: it is the
// longest key with which the object there agrees, and where there is no such key, all of the rest of the path. Objects
// that the path leads through and that do not exist are made. [Path] makes the path of any keys, also of those with dots in them, as
// in ".versions.1\.0": a path that begins with a dot is escaped, and in it `\.` is a dot and `\\` a backslash of a key.
//
// # Messages
//
// A syncher speaks only to the sync manager of its own runtime, at <runtime>/sm, which speaks to the other runtimes:
//
//	create       an object, or with "authorise" an invitation to one
//	update       of an attribute, answered when the runtime has it
//	delete       the object
//	subscribe    answered with the object as it is then
//	unsubscribe
//
// and listens at its owner's address for
//
//	create   from <object>/subscription: an invitation
//	forward  from <runtime>/sm: may this observer subscribe? the answer is 200 or 403
//	update   from <runtime>/sm: an observed object has changed
//	delete   from <runtime>/sm: an observed object is gone; "end" says why, "reason" what its reporter says
//	forward  from <runtime>/sm, with "status": the reporter of an observed object is away, or live again
//
// Messages of other kinds at that address are the component's own business and are left alone.
//
// # Guarantees
//
// Changes of one object reach an observer in the order in which its reporter made them, each at most once. Where some
// could not be kept for a slow observer, or were missed because a runtime was away, one change with Resync set stands
// for them, and [Observer.Value] is current. A change is made and published, or neither: where [Reporter.Set] and its like return nil it
// is with the reporter's runtime, where they return an error it has not been made. Observers that saw it nevertheless, since the
// answer of the runtime was lost, are put right within seconds, by a change with Resync. With a context that has ended nothing is
// sent; one that ends later does not take back what was sent, whose answer is waited for a second more.
//
// Each update has a hash of the value with the change in it. An observer whose copy has become another one gets the whole value again, as
// a change with Resync, six times a minute at most.
//
// # Away and gone
//
// The reporter of an object may be away: its application was killed or has lost its connection, its runtime has ended or cannot be
// reached. The object stays for its grace time ([Object].Grace; a minute is the default), with its address, its value and its
// observers. [Observer.Next] returns a change with OpAway, which says since when, and OpBack when the reporter is there again; nobody
// subscribes again for that. The rule for the end:
//
//	the reporter deletes it                                       gone at once
//	the application ends its hyperty (Close)                      gone at once, or after the grace time that Object asks for
//	its process or connection ends                                gone after the grace time
//	its runtime ends, or nothing comes from it                    away within a minute; gone after the grace time, but 5 minutes at least
//	its runtime is back and does not know the object              gone after the grace time, at most 10 minutes, but 15 s at least
//
// The change with Deleted says which it was (End). A grace time may be [Forever].
//
// A reporter gets its object back by creating it again, at a wished address (Object.ID or Object.URL), as the hyperty with the same
// name: [Reporter.Reclaimed] tells, and the value is the one of before. A wished address belongs to the runtime's key, as names do, until the
// object is gone. An object with Object.Keep outlives the runtime: it is in its data folder, and a change that could not be written
// there is an error and has not been made.
//
// [Reporter.Observers] lists who observes, [Reporter.OnObserver] tells of those who join and leave, and [Reporter.Kick] ends an observation.
//
// When the runtime has been restarted, [Syncher.Resume] brings back what the component reports and observes.
//
// # Child objects
//
// An object may have names for children ([Object].Children). Who observes the object may make child objects under them
// ([Observer.AddChild]), and change and remove its own: a request to <object>/children/<name>, which the sync manager of
// the reporter's runtime has the reporter decide. A child is a part of the object's data, at childrenObjects.<id>, so
// every observer gets it in order, and those that come later find it in the object's value. All children together are
// bounded by the size of the object's data. The reporter of an object with such names does not change childrenObjects by Set, Add or
// Remove. 32 changes of children by one [Observer] are under way at the same time; others wait, and so do those for which the
// reporter has no place.
//
// # Limits
//
// An object's data is at most 512 KiB of JSON and 64 levels deep, an attribute path 2,048 bytes, an object's name 256 bytes;
// it has at most 32 resources and 32 names for children. A change that would break a limit changes nothing. 256 changes, or
// changes with 1 MiB of values, wait for an [Observer.Next]. 64 invitations are handled at the same time. 4,096 observers may
// be invited to one object, and a component observes 16,384.
package syncher
