// Hostile-quic is a P2P plug-in that was written to cheat, for tests: the QUIC plug-in, under its name, which
//
//   - alters, cuts, drops, repeats, reorders, stitches together and invents the frames of its channels (package cheat,
//     transport.go);
//   - puts other certificates' hashes, and other proofs, into the signalling, in both directions: before the runtime
//     and its peer see it and after (signals.go);
//   - posts messages in others' names, and has the runtime sign what is none of its business (stub.go).
//
// It keeps all bytes that it saw. Its configuration is that of the QUIC plug-in and a member "hostile", which is
// cheat.Options. Nobody should run it for anything else.
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
