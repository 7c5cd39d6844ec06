// Package rates says how much strangers may ask of the node in a time, and what each request costs: everything is paid for
// before it is computed.
//
//   - prices.go says what a request, a write, a handshake and something that should not have been sent cost.
//   - [Rates] are the token buckets of addresses and runtimes. All connections of the node share them.
//   - [Spending] is what one connection has left, for how long it is not to be read from, and whether it has its turn to compute.
//
// The buckets and the turns themselves are in package quota, which knows no prices.
package rates
