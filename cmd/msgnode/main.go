// Protofly's Message Node as a program, built as protofly-node. The node itself is the package plugins/msgnode-ws/node;
// this package has the command line and the configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/msgnode/config"
	"github.com/protofly/protofly/internal/config/command"
	"github.com/protofly/protofly/internal/printable"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
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

// commands is the whole command line.
func commands(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "protofly-node",
		Short:         "Protofly's Message Node: relay between runtimes, addresses, Domain Registry",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.Args = usage(cobra.NoArgs)
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.AddCommand(runCommand(stdout, stderr), configCommand(stderr), admitCommand(stdout, stderr), permissionsCommand(stdout), &cobra.Command{
		Use: "version", Short: "Print the version", Args: usage(cobra.NoArgs),
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(stdout, "protofly-node %s (%s, %s %s/%s)\n", node.Version, node.Subprotocol, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	})
	return root
}

func configCommand(stderr io.Writer) *cobra.Command {
	return command.New(command.Program{Schema: config.Schema(), Valid: "the configuration is valid", Args: usage,
		Usage: func(err error) error { return usageError{err} },
		Load:  func(cmd *cobra.Command) (command.Loaded, error) { return loadAndWarn(cmd, stderr) }})
}
