// Package allocation is the Message Node's address allocation: runtimes are given addresses, one by its name or a block of random
// ones, and free them (specification, "Address allocation").
//
// A name stays its runtime's until it frees it; an address that the node has made goes with what has it, and after a crash when a
// later process of the runtime has not asked for it again (package expiry). Nothing is kept of an address that was freed but a mark
// in its table, for a minute, so that other nodes learn of it.
//
// An address has one owner: whoever's write to the state came first, at whatever node of the domain.
package allocation
