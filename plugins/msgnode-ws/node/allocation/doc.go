// Package allocation is the Message Node's address allocation: runtimes are given addresses, one by its name or a block of random
// ones, and free them (specification, "Address allocation").
//
// An address has one owner: the runtime whose write to the state came first, at whatever node of the domain.
package allocation
