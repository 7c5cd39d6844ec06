// Package object is what a data object is made of: its [Metadata], its data as a [Document], and the [Update] that
// changes one attribute of it (specification, "Reporter-observer protocol" and "Trickle"). The syncher in a component
// and the sync manager in the core share it, so that a reporter, the two runtimes and every observer apply a change
// alike.
//
// # Attribute paths
//
// An attribute is named by a path of elements with dots between them: "connectionDescription.sdp",
// "iceCandidates.2". In an array an element is an index. An element that begins with <scheme>:// is an address: it is
// the longest key of the object there with which the rest of the path begins, and where there is no such key, the
// whole rest. Objects on the way that do not exist are made.
//
// # Limits
//
// Data is at most [MaxData] bytes of JSON and [MaxDepth] levels deep, a path at most [MaxPath] bytes. A change that
// would break a limit is refused and changes nothing.
package object
