// Package safefile reads and writes the few files that a runtime must not lose, and that nobody else may have written: its key and
// the names that it has pinned.
//
// A file is written to a temporary one, which is synced and renamed over the old one; then the folder is synced. So after a crash
// there is the old file or the new one, whole. The first line of a file has its kind, its length and its checksum: a file that was
// cut off, overwritten or mixed up is an error, and never counts as empty. Files of earlier versions have no such line: [Unseal]
// says so, and the reader writes them again ([Renew]).
//
// A file must belong to this process's user, and nobody else may be able to change it or to put another one in its place: see
// [Read] and [CheckFolder]. [Take] prepares, checks and locks the data folder of a runtime.
package safefile
