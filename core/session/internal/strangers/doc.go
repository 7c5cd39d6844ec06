// Package strangers is what is kept of remote runtimes that have not proven who they are, and what may be computed because of
// them: a pool of handshakes under way, cookies of which nothing is kept, and limits that none of them can use up for others.
//
// [Strangers] takes no lock, starts nothing and sends nothing.
package strangers
