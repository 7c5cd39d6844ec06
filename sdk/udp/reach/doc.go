// Package reach decides where a peer may make this process send datagrams before anybody there has answered.
//
// A peer names the addresses at which it can be reached, and a transport has to send to them before it knows whether that
// is true. A peer that names other addresses could make the transport attack a third party, or probe the operator's own
// network. Three parts bound that; none does I/O, has a lock, or reads a clock:
//
//   - [Policy] says which addresses a peer may name at all.
//   - [Candidates] is what one peer has named: filtered, without duplicates, and few.
//   - [Budget] counts what is sent to addresses that have not answered: per host, per peer, and in all.
//
// The transport decides what counts as an answer. It must show that the address has received what was sent there: a
// random number comes back that was sent nowhere else. A packet whose content a peer could know in another way proves
// nothing, since its source may be forged.
package reach
