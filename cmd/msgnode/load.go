package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/msgnode/config"
	dialect "github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/internal/config/command"
)

// load reads the configuration that a command's flags and the environment name. The error is a usageError.
func load(cmd *cobra.Command) (*config.Loaded, error) {
	keys := config.Schema()
	l, err := config.Load(dialect.Sources{File: command.File(cmd.Flags(), keys, os.Environ()), Environ: os.Environ(), Flags: command.Given(cmd.Flags(), keys)})
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}

// loadAndWarn is load; it also warns on stderr of old spellings in the configuration.
func loadAndWarn(cmd *cobra.Command, stderr io.Writer) (*config.Loaded, error) {
	l, err := load(cmd)
	if err != nil {
		return nil, err
	}
	for _, warning := range l.Warnings {
		fmt.Fprintf(stderr, "protofly-node: warning: %s\n", warning)
	}
	return l, nil
}
