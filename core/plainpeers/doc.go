// Package plainpeers exchanges messages with remote runtimes that can have no session: those of the reference implementation,
// whose addresses are not derived from a key that they could prove. It is plain in the sense of plain text.
//
// Their messages leave and come through the stub of a Message Node unchanged, where the operator's trust policy allows it.
// They are not delivered exactly once, not in order, can be read by nodes, and only nodes vouch for their `from`. So that
// nobody can use this to do what a session would not allow,
//
//   - a message counts as from the runtime that its `from` belongs to, by its form or by the Domain Registry; that
//     runtime must be allowed, have an address that is not derived from a key, and not be this one;
//   - only the Message Node of this domain is believed, and that of the runtime's domain;
//   - it reaches hyperties and data objects, never a component of the runtime: there are no P2P connections with such
//     runtimes;
//   - a response is accepted only for a question that went out in this way, from the address that was asked, by the same
//     node.
//
// [Peers] sends and receives, [Observers] subscribes for such runtimes to the changes of data objects.
package plainpeers
