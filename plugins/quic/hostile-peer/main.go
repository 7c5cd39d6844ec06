// Hostile-peer is a P2P plug-in that attacks the runtimes at the other end. It is for tests alone, and connects only to loopback
// addresses. It has the name of the QUIC plug-in. The member "hostile" of its configuration says what it does:
//
//   - With "names" its set-ups name these addresses as its own, as many as there is room for, and none of its own
//     (names.go).
//   - With "flood" its connections become live as honest ones do (connect.go). Each then runs the next of the attacks in
//     flood.go: it opens streams that it may not open, sends one byte at a time or empty frames, or does not read.
//
// It writes what it did to the file "report", as lines of JSON.
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
