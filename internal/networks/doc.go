// Package networks says to which addresses a process may connect where somebody else has named the host: a domain that a
// stranger made up must not have it speak with its own machine, its neighbours, or a cloud's metadata service.
//
// The rule is applied when a connection is made, to the address that the name was resolved to, by [Allowed.Control] in
// a net.Dialer. What a name resolved to at another time does not matter then, so that a name that changes its address
// between a check and the use of it gains nothing.
//
// What kinds of addresses there are is said once, in [KindOf], for this rule and for that of package sdk/udp/reach.
package networks
