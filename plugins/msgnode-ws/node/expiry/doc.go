// Package expiry ends what nobody keeps alive: entries of the Domain Registry, subscriptions of runtimes that have not come back,
// and in the long run addresses, entries and tokens that nobody uses.
package expiry
