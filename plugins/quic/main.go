// Command quic is the plug-in for direct connections over QUIC, on one UDP socket. Package transport has all of it.
package main

import (
	"github.com/protofly/protofly/plugins/quic/transport"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

// version is the plug-in's; a build may set it: go build -ldflags "-X main.version=1.2.3".
var version = "1.0.0"

func main() {
	sdk.Serve(sdk.Descriptor{
		Name: "quic", Version: version, Kind: sdk.KindP2P,
		About:   "P2P connections over QUIC: one UDP port, host and STUN addresses, hole punching",
		Options: transport.Described(),
	}, p2p.Stub(transport.New))
}
