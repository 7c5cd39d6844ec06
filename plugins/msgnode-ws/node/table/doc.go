// Package table is a node's state: rows of JSON in a JetStream KV bucket, each with a copy in memory.
//
// [Table.Follow] keeps the copy up to date, reads are of the copy, and [Table.Change] is the one way to write: it fails or is
// repeated where another node was quicker. What the rows weigh is counted by whose they are, so that the node can bound that
// ([Table.Bound]). What a row means is not known here: it is found by the terms that [Options] says it has.
package table
