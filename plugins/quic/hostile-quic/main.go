// Hostile-quic is a P2P plug-in that attacks its own runtime. It is for tests alone. It has the name of the QUIC plug-in, and
//
//   - alters, cuts, drops, repeats, reorders, joins and invents the frames of its channels (package cheat, transport.go);
//   - puts other certificates' hashes, and other proofs, into the signalling, in both directions, before the runtime
//     and its peer see it and after (signals.go);
//   - posts messages in others' names, and asks the runtime for signatures that a plug-in must not get (stub.go).
//
// It records all bytes that it saw. Its configuration is that of the QUIC plug-in with a member "hostile", which is
// cheat.Options.
package main

import (
	"github.com/protofly/protofly/sdk"
)

func main() {
	sdk.Serve(sdk.Descriptor{
		Name: "quic", Version: "0.0.0-hostile", Kind: sdk.KindP2P,
		About: "WRITTEN TO CHEAT, for tests: alters what it carries",
	}, &stub{})
}
