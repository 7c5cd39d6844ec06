package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/protofly/protofly/cmd/runtime/config"
	dialect "github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/internal/config/command"
	"github.com/protofly/protofly/sdk/hyperty"
)

func addConfigFlags(flags *pflag.FlagSet) { command.AddFlags(flags, config.Schema(nil)) }

// load reads the configuration that a command's flags and the environment name, and warns on stderr of old spellings in it.
func (c *cli) load(cmd *cobra.Command) (*config.Loaded, error) {
	l, err := c.read(cmd)
	if err != nil {
		return nil, err
	}
	for _, warning := range l.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "protofly: warning: %s\n", warning)
	}
	return l, nil
}

// read is load without the warnings.
func (c *cli) read(cmd *cobra.Command) (*config.Loaded, error) {
	l, err := config.Load(config.Sources{File: c.file(cmd), Environ: c.environ, Flags: command.Given(cmd.Flags(), config.Schema(nil))})
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}

// file is the configuration's file; "" where there is none.
func (c *cli) file(cmd *cobra.Command) string {
	given := cmd.Flags().Lookup("config")
	if name := command.File(cmd.Flags(), config.Schema(nil), c.environ); name != "" || given != nil && given.Changed {
		return name
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	name := filepath.Join(dir, "protofly", "config.yaml")
	if _, err := os.Stat(name); err != nil {
		return ""
	}
	return name
}

// addSocketFlags adds the flags that name the socket of the running runtime.
func addSocketFlags(flags *pflag.FlagSet) {
	flags.String("socket", "", "the runtime's socket (default: $"+hyperty.SocketVariable+", else that of the configuration, else the user's standard one)")
	flags.StringP("config", "c", "", "the configuration file that names the socket")
}

// socket is the path of the running runtime's socket.
func (c *cli) socket(cmd *cobra.Command) (string, error) {
	if f := cmd.Flags().Lookup("socket"); f.Changed {
		return f.Value.String(), nil
	}
	given := cmd.Flags().Lookup("config").Changed
	if path := dialect.Variable(c.environ, hyperty.SocketVariable); path != "" && !given {
		return path, nil
	}
	if file := c.file(cmd); file != "" {
		l, err := config.Load(config.Sources{File: file, Environ: c.environ})
		if err == nil {
			return l.API.Socket, nil
		}
		if given {
			return "", usageError{err}
		}
	}
	path, err := hyperty.DefaultSocket()
	if err != nil {
		return "", usageError{errors.Join(err, fmt.Errorf("or use --socket"))}
	}
	return path, nil
}
