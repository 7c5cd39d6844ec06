// Package stubs is the protostubs that this runtime has deployed: how one is started and ended for the Registry, what its
// plug-in is configured with and may read, and what is said with it.
//
// A message that is addressed to a stub goes to its MiniBus. A message that a stub posts counts as the stub's own, unless
// it is the stub of a Message Node: that also carries what the node's functions say, which no other stub may, and what
// runtimes without sessions say, which is for core/plainpeers to judge. A stub that speaks for anybody else is refused, and
// its host is told.
//
// Nothing here waits for a stub that posts: what it posts next waits behind it.
package stubs
