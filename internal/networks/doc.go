// Package networks says to which addresses a process may connect if a stranger has named the host: with a made-up
// domain a stranger must not make it connect to its own machine, its neighbours, or a cloud's metadata service.
//
// The rule is applied when a connection is made, to the address that the name was resolved to, by [Allowed.Control] in
// a net.Dialer. So a name whose address changes between a check and its use gains nothing.
//
// [KindOf] has the kinds of addresses, for this rule and for the one of package sdk/udp/reach.
package networks
