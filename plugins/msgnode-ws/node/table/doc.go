// Package table is a node's state: rows of JSON in a JetStream KV bucket, each with a copy in memory.
//
// [Table.Follow] keeps the copy up to date, reads are of the copy, and [Table.Change] is the one way to write: it fails or is
// repeated if another node was quicker. The weight of rows is counted by runtime and by network address, so that the node can
// bound it ([Table.Bound]). The package does not know what a row means: rows are found by the terms that [Options] gives for
// them.
package table
