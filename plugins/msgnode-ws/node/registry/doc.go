// Package registry is the Domain Registry of a Message Node: entries of hyperties, data objects and runtimes, and where they are
// (specification, "Domain registry"). It is reached by messages alone.
//
//   - entry.go: what an entry must have, and who may change it.
//   - registry.go: create; update.go: update and delete; read.go: read.
//   - Subscribers to <url>/registration get each change of an entry's status.
//
// The entries are rows of package state. A search for a user or a name has a bounded answer, chosen fairly among all runtimes
// that have entered something for it (package shelves).
package registry
