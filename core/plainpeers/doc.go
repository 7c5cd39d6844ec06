// Package plainpeers is what is said with remote runtimes that can have no session: those of the reference
// implementation, whose addresses are derived from no key that they could prove. It is plain in the sense of plain text.
//
// Their Messages leave and come through the stub of a Message Node as they are, where the operator's trust policy allows
// it: not once, not in order, not unread, and with a `from` that only nodes vouch for. So that nobody gains by it what a
// session would deny,
//
//   - a message counts as from the runtime that its `from` belongs to: by its form, or as the Domain Registry says; that
//     runtime must be allowed, have an address that is derived from no key, and not be this one;
//   - only the own Message Node is believed, and the one of that runtime's domain;
//   - it reaches hyperties and data objects, never a component of the runtime: there are no P2P connections with such
//     runtimes;
//   - a response is taken only for a question that went out in this way, from the address that was asked, by the same
//     node.
//
// [Peers] sends and receives, [Observers] subscribes for such runtimes to the changes of data objects.
package plainpeers
