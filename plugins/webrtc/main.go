// Command webrtc is the plug-in for direct connections over WebRTC data channels. Package transport has all of it.
package main

import (
	"github.com/protofly/protofly/plugins/webrtc/transport"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

// version is the plug-in's; a build may set it: go build -ldflags "-X main.version=1.2.3".
var version = "1.0.0"

func main() {
	sdk.Serve(sdk.Descriptor{
		Name: "webrtc", Version: version, Kind: sdk.KindP2P, About: "direct connections by WebRTC data channels",
		Options: transport.Described(),
	}, p2p.Stub(transport.New))
}
