// Package shelves is a fair order of entries of which strangers may make any number.
//
// [Shelves] have entries by what they are found by, and [Shelves.Pick] chooses of those with one term: a few of each site, of each
// address there and of each runtime there, in turn. What an entry is does not matter; a [Place] says whose it is. It does no I/O
// and has no lock: whoever has the entries has one.
package shelves
