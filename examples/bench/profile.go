package main

import (
	"context"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/examples/bench/load"
)

// profiler is a runtime's further commands.
func profiler(*core.Runtime) own {
	return func(context.Context, load.Command) (load.Result, bool, error) { return load.Result{}, false, nil }
}
