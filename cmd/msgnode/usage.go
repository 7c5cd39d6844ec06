package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// usageError is a mistake in the command or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode is 2 where the command or the configuration is wrong, as protofly's is, so that whatever starts the
// node need not start it again; and 1 where something has failed.
func exitCode(err error) int {
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

// usage makes check report wrong arguments as a [usageError].
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
