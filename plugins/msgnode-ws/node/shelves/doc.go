// Package shelves orders entries fairly, although strangers may make any number of them.
//
// [Shelves] keep entries by the terms that they are found by. [Shelves.Pick] chooses among the entries with one term: a few of
// each site, of each address there and of each runtime there, in turn. The content of an entry does not matter; its [Place] says
// to which runtime it belongs. The package does no I/O and has no lock: the owner of the entries has one.
package shelves
