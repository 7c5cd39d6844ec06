package p2p_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/testbed"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

// The test binary is the example's plug-in when it is called as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 1 || os.Args[1] == "--describe" {
		sdk.Serve(sdk.Descriptor{Name: "lan", Version: "1.0.0", Kind: sdk.KindP2P, About: "plain TCP"}, p2p.Stub(newLAN))
	}
	goleak.VerifyTestMain(runtimes.Around(m))
}

// runtimes are those that the example uses: processes of their own, with this test binary as their transport.
var runtimes = testbed.Shared{Options: testbed.Options{Runtimes: []string{"alice", "bob"}, Transport: os.Args[0]}}
