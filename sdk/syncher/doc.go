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
// longest key of the object there with which the rest of the path begins, and where there is no such key, the whole rest.
// Objects that the path leads through and that do not exist are made.
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
//	delete   from <runtime>/sm: an observed object is gone
//
// Messages of other kinds at that address are the component's own business and are left alone.
//
// # Guarantees
//
// Changes of one object reach an observer in the order in which its reporter made them, each at most once. Where some
// could not be kept for a slow observer, or were missed because a runtime was away, one change with Resync set stands
// for them, and [Observer.Value] is current. When [Reporter.Set] or another change returns nil, the reporter's
// runtime has the change. Where it returns an error, the change has not been made; observers that saw it
// nevertheless, because the answer was lost, are corrected by the next change.
//
// When the runtime has been restarted, [Syncher.Resume] brings back what the component reports and observes.
//
// # Child objects
//
// An object may have names for children ([Object].Children). An observer may make child objects under them
// ([Observer.AddChild]), and change and remove its own. It does so with a request to <object>/children/<name>; the sync
// manager of the reporter's runtime forwards it to the reporter, which decides. A child is a part of the object's data,
// at childrenObjects.<id>, so every observer gets it in order, and those that come later find it in the object's value.
// All children together are bounded by the size of the object's data.
//
// # Limits
//
// An object's data is at most 512 KiB of JSON and 64 levels deep, an attribute path 2,048 bytes, an object's name 256 bytes;
// it has at most 32 resources and 32 names for children. A change that would break a limit changes nothing. 256 changes, or
// changes with 1 MiB of values, wait for an [Observer.Next]. 64 invitations are handled at the same time. 4,096 observers may
// be invited to one object, and a component observes 16,384.
package syncher
