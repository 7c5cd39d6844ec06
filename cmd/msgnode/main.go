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

	"github.com/protofly/protofly/internal/printable"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	problems := printable.NewWriter(os.Stderr)
	err := command(printable.NewWriter(os.Stdout), problems).ExecuteContext(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(problems, "protofly-node:", err)
		stop()
		os.Exit(1)
	}
}
