// Package registry is the Domain Registry of a Message Node: entries of hyperties, data objects and runtimes, and where they are
// (specification, "Domain registry"). It is reached by messages alone.
//
//   - entry.go: what an entry must have, and who may change it.
//   - registry.go: create; update.go: update and delete; read.go: read.
//   - Whoever subscribes to <url>/registration is told of a change of an entry's status.
//   - forget.go: what of the entries that are disconnected makes room.
//
// # What is gone
//
// An entry that is unregistered, that is not kept alive, or whose runtime has lost its connection is disconnected. It is remembered
// for two purposes, and for no longer than they need it:
//
//   - Whoever asks for an address that its runtime keeps (it is allocated to the runtime: a name, or an address of a runtime that
//     has crashed) is told that it is away (408), not that there is none (404). That is for [limits.Times].Retention.
//   - A message that comes from an address which has just been given up is checked by its receiver, who asks whose the address was.
//     That is for [state.LateTime]. The answer says that the address is nobody's any more ("released"), which to whoever asks where
//     it is means that there is none (404).
//
// Nothing else needs it. No runtime can bring the entry of another one back: it may register only what is allocated to it. A reader
// ignores an entry that was signed before another one which it has seen, and every one that was signed more than a day ago
// (sdk/proof), so a node that brings an old entry back can do so for a day, and leads messages to a runtime that refuses them.
//
// Disconnected entries do not count against [limits.Limits].Registrations. A runtime has at most as many of them as it may have
// live ones, and they never fill what it may have in the state: those that are needed least make room.
//
// The entries are rows of package state. A search for a user or a name has a bounded answer, chosen fairly among all runtimes
// that have entered something for it (package shelves). A read may ask for a part of the result: its body has page, from 1, and size,
// how many entries a page has; the answer then has page too, and more: true where another one may follow. A page is chosen anew for each
// read: entries that come or go between two of them may be missed, or be in both.
package registry
