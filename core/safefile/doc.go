// Package safefile keeps the few files that a runtime must not lose, and must not take from somebody else: its key and
// what it has pinned.
//
// A file is written whole: to a temporary one, which is synced, renamed over the old one, and its folder synced; so
// after a crash there is the old one or the new one. It begins with a line that has its kind, its length and its
// checksum, so that a file that was cut off, overwritten or mixed up is noticed and never taken for an empty one. Files
// of earlier versions have no such line: [Unseal] says so, and whoever reads one writes it again.
//
// What is read must belong to this process's user and be nobody else's to change, and so must its folder: see
// [CheckFolder].
package safefile
