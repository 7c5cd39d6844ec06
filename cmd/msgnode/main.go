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
	err := commands(printable.NewWriter(os.Stdout), problems).ExecuteContext(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(problems, "protofly-node:", err)
		stop()
		os.Exit(exitCode(err))
	}
}

// usageError is a mistake in the command or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode is 2 where the command or the configuration is wrong, as protofly's is, so that who starts the node need not start it
// again; and 1 where something has failed.
func exitCode(err error) int {
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}
