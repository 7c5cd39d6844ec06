// Hostile-peer is a P2P plug-in that attacks the runtimes at the other end. It is for tests alone. It has the name of the WebRTC
// plug-in. The member "hostile" of its configuration says what it does:
//
//   - With "names" its set-ups name these addresses as its own, as many as there is room for, and none of its own
//     (names.go).
//   - With "flood" its connections become live as honest ones do (connect.go). Each then runs the next of the attacks in
//     flood.go: it opens other data channels, sends messages of one byte, does not read, or writes unreadable packets.
//
// It writes what it did to the file "report", as lines of JSON.
package main

import (
	"github.com/protofly/protofly/plugins/internal/hostilepeer"
	"github.com/protofly/protofly/plugins/webrtc/transport"
	"github.com/protofly/protofly/sdk/p2p"
)

func main() {
	hostilepeer.Serve("webrtc", hostilepeer.Makers{
		Honest: transport.New,
		Namer:  func(honest p2p.Transport, o hostilepeer.Options) p2p.Transport { return namer{honest, o} },
		Flood: func(honest p2p.Transport, o hostilepeer.Options) p2p.Transport {
			return &flooder{Transport: honest, Options: o}
		},
	})
}
