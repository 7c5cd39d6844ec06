// Package state is what the nodes of a domain keep: whose which address is, who listens where, the Domain Registry's entries,
// the sessions of the reference's stubs and the uses of tokens.
//
// [State] has a table of each and says how much may be in them, of one runtime, of one address and in all. The rows are values:
// [Allocation], [Subscription], [Registration], [Session], [Redemption]. Who may write a row, and what a request for it means,
// is the node's.
package state
