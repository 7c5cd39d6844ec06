package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// usageError is a mistake in the command or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode is 2 if the command or the configuration is wrong, so that a supervisor need not start the node again, and 1 if
// something has failed. Those of protofly are the same.
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
