package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/internal/printable"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	c := &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), start: startCore}
	code := c.execute(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// execute runs one command and returns the exit code.
func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	problems := printable.NewWriter(c.err)
	root.SetOut(printable.NewWriter(c.out))
	root.SetErr(problems)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(problems, "protofly: %v\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil: // ended by a signal
		return exitOK
	}
	fmt.Fprintf(problems, "protofly: %v\n", err)
	return exitFailed
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "protofly",
		Short: "A peer-to-peer messaging runtime whose transports are plug-ins",
		Long: "Applications address each other by URL and never by machine. protofly finds the best path for every\n" +
			"message: a direct connection where one is live, else the Message Node.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       buildVersion(),
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("protofly {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nsee: %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(c.runCommand(), c.configCommand(), c.pluginsCommand(), c.statusCommand(), c.pathCommand(),
		c.profileCommand(), c.traceCommand(), c.sendCommand(), c.listenCommand(), c.releaseCommand(), c.findCommand(), c.watchCommand(), c.versionCommand())
	return root
}
