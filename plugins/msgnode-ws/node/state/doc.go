// Package state is what the nodes of a domain keep: the owners of addresses, the subscriptions, the Domain Registry's entries,
// the sessions of the reference's stubs and the uses of tokens.
//
// [State] has a table for each, and bounds how much may be in them: of one runtime, of one address and in all. The rows are
// values: [Allocation], [Subscription], [Registration], [Session], [Redemption]. The node decides who may write a row, and what
// a request for it means.
package state
