// Protofly's Message Node plug-in: the way over a relay, and to the functions of a domain. See the package stub.
package main

import (
	"github.com/protofly/protofly/plugins/msgnode-ws/stub"
	"github.com/protofly/protofly/sdk"
)

// version is the plug-in's; a build may set it: go build -ldflags "-X main.version=1.2.3".
var version = "1.0.0"

func main() {
	sdk.Serve(sdk.Descriptor{
		Name: "msgnode-ws", Version: version, Kind: sdk.KindNode,
		About:   "Message Node stub over a WebSocket: relay between runtimes, addresses, Domain Registry",
		Options: stub.Described(),
	}, stub.Stub{})
}
