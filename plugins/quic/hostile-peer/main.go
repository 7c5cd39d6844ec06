// Hostile-peer is a P2P plug-in that was written to do harm to the runtimes at the other end, for tests: the QUIC plug-in,
// under its name, whose member "hostile" of the configuration says what it does.
//
//   - With "names" its set-ups name these addresses as its own, as often as there is room, and none of its own
//     (names.go).
//   - With "flood" its connections go live as honest ones do (connect.go). Each then plays the next of the attacks in
//     flood.go: it opens streams that it may not, sends one byte at a time or frames of nothing, or does not read.
//
// It writes what it did to the file "report", a line of JSON each. It goes to loopback addresses alone. Nobody should run
// it for anything else.
package main

import (
	"github.com/protofly/protofly/plugins/internal/hostilepeer"
	"github.com/protofly/protofly/plugins/quic/transport"
	"github.com/protofly/protofly/sdk/p2p"
)

func main() {
	hostilepeer.Serve("quic", hostilepeer.Makers{
		Honest: transport.New,
		Namer:  func(honest p2p.Transport, o hostilepeer.Options) p2p.Transport { return namer{honest, o} },
		Flood: func(honest p2p.Transport, o hostilepeer.Options) p2p.Transport {
			return &flooder{Transport: honest, Options: o}
		},
	})
}
