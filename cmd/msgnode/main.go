// Protofly's Message Node as a program, built as protofly-node. All that it does is in plugins/msgnode-ws/node; here are
// the command line and the configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(os.Stdout, os.Stderr).ExecuteContext(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "protofly-node:", err)
		stop()
		os.Exit(1)
	}
}
