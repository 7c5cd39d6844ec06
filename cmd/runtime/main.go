package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/internal/printable"
)

// version is set by the linker in releases.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	c := &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), start: startCore}
	code := c.execute(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line, with what it touches. Commands print through cobra's writers, which make printable what
// strangers wrote; only what is no text goes to out as it is.
type cli struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	start    starter
}

// usageError is a mistake in the command or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

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
	case errors.Is(err, context.Canceled) && ctx.Err() != nil: // told to end
		return exitOK
	}
	fmt.Fprintf(problems, "protofly: %v\n", err)
	return exitFailed
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "protofly",
		Short: "A peer-to-peer messaging runtime whose transports are plug-ins",
		Long: "Applications address each other by URL and never by machine; protofly finds the best path for every\n" +
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
		c.profileCommand(), c.traceCommand(), c.sendCommand(), c.listenCommand(), c.versionCommand())
	return root
}

// usageArgs has a wrong number of arguments count as a mistake in the command.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		switch {
		case err == nil:
			return nil
		case cmd.HasSubCommands() && len(args) > 0:
			cmd.SuggestionsMinimumDistance = 2
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usageError{fmt.Errorf("%w: did you mean %s?", err, strings.Join(near, " or "))}
			}
			return usageError{fmt.Errorf("%w\nsee: %s --help", err, cmd.CommandPath())}
		}
		return usageError{fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "protofly", buildVersion())
			return err
		}}
}

// buildVersion is the version of this binary: the linker's, else the module's, else the commit's.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}
