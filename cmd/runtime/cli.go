package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/runtime/config"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line, with what it reads and writes. Commands print through cobra's writers, which make the texts of
// remote runtimes printable; only what is not text goes to out unchanged.
type cli struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	start    starter
}

// usageError is a mistake in the command or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// engine is a running runtime, as far as "run" needs it.
type engine interface {
	URL() message.URL
	Close(ctx context.Context) error
}

// starter starts a runtime.
type starter func(ctx context.Context, l *config.Loaded, log hclog.Logger, t trace.Func) (engine, error)

// usageArgs makes a wrong number of arguments a mistake in the command.
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
