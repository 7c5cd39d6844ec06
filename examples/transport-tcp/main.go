// Transport-tcp is a P2P transport plug-in over TCP, as an example of how little a new transport takes: one
// p2p.Transport, and this main. Nothing in the runtime knows of it but the operator's configuration:
//
//	protofly plugins install ./transport-tcp
//	plugins: {use: [tcp]}
//
// The channel is TLS 1.3 over TCP. Each side makes a certificate when it starts and sends its hash in the signalling;
// both take the other side's certificate and no other. The Handler listens, on one port for all its peers, and gives
// each set-up a random name; the Requester dials all the addresses that it is told, side by side, asks for that name
// (as TLS server name) and keeps the first connection that comes up.
//
// Limits: the Requester must be able to reach one of the Handler's addresses; there is no hole punching.
//
// Options: "listen" (default ":0") and "advertise", further addresses ("203.0.113.7:7000") under which the listener
// can be reached; "loopback" and "private" (default true): whether peers may name addresses of this machine and of private
// networks.
package main

import (
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

func main() {
	sdk.Serve(sdk.Descriptor{
		Name:    "tcp",
		Version: "1.0.0",
		Kind:    sdk.KindP2P,
		About:   "direct connections over TCP with mutual TLS (an example)",
	}, p2p.Stub(New))
}
