package hyperty_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(runtimes.Around(m)) }

// runtimes are those that the examples use, in processes of their own, with a Message Node and their plug-ins.
var runtimes = testbed.Shared{Options: testbed.Options{Runtimes: []string{"alice", "bob"}}}
