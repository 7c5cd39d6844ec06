// Package discovery finds hyperties for the applications of this runtime, tells them who is there, and how the runtime reaches others
// (the reference implementation's discovery library does this in each application).
//
// It is a component of the runtime, at <runtime>/discovery. Only hyperties of this runtime may ask it; what they say is in
// sdk/hyperty/PROTOCOL.md, "Finding and watching". Three questions:
//
//   - find: which hyperties a Domain Registry has. The Registry asks it, and leaves out what is not to be believed.
//   - watch: the presence of addresses.
//   - events: how the Message Nodes and the remote runtimes are reached.
//
// # Nothing is queued
//
// Whoever watches asks again and again, and each question waits here until there is something new, or its time is over (a long poll).
// A question names the version that it has seen; the answer has the newest presence of each address that has changed since, and
// the version for the next question. So a slow application gets the newest state, an application that has died costs nothing after
// its lease, and one that has lost its runtime goes on with the next question.
//
// # Where presence comes from
//
// From the Domain Registry of the address, whose word is believed as it is for messages: an entry counts that its runtime has signed. It
// is read when somebody begins to watch the address, and again when something says that it may have changed:
//
//   - the node's notice on <address>/registration, to which the runtime subscribes while somebody watches;
//   - the Registry: an address of this runtime was registered or has ended, a remote runtime has announced one, or given one up;
//   - the Message Node is back;
//   - nothing has for ten minutes.
//
// A hint is not believed, it only has the address read. An address is read at most every two seconds whatever happens, so neither a node nor
// a remote runtime can make this one busy. Where nobody watches nothing is subscribed to, read or kept.
//
// While a Message Node is away for more than five seconds, an address of its domain stays in the state that it had, and is not confirmed; it
// is confirmed where a live P2P connection leads to it.
//
// # How runtimes are reached
//
// From the events of sessions: the path in use, that it carries nothing, that the remote runtime has gone; and from the node, which says
// that a runtime is not connected. Nothing tells that one answers again which was unreachable, so while somebody watches, it is looked
// up every two seconds when such a runtime was heard of last.
//
// # Limits
//
// A hyperty watches 256 addresses, all of a runtime 1,024; it has 64 questions waiting, and 4 findings at a time, all of a runtime 16. What is
// more is refused with 429. 1,024 remote runtimes are remembered, the others are those whose state is the oldest.
//
// # The parts
//
//	internal/watching  which addresses are watched, and what is known of them; when to read which
//	internal/peers     how nodes and remote runtimes are reached
//	internal/version   numbers of changes
//
// They have a state, do no I/O and are told the time. [Discovery] holds the lock, has the addresses read, and answers.
package discovery
