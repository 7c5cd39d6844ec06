package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/protofly/protofly/cmd/runtime/config"
	"github.com/protofly/protofly/sdk/hyperty"
)

// configFlags is the flags that set keys of the configuration.
var configFlags = []struct{ flag, key, about string }{
	{"domain", "domain", "the runtime's own domain"},
	{"node", "node", "the Message Node of that domain, as wss://node.example.com/protofly"},
	{"data", "data", "folder of the key and of what the plug-ins need"},
	{"plugins", "plugins.dir", "folder of the installed plug-ins"},
	{"socket", "api.socket", "path of the application API's socket"},
	{"log-level", "log.level", "trace, debug, info, warn or error"},
	{"log-format", "log.format", "text or json"},
	{"trace", "trace", "file that every step of the core is written to, as JSON lines"},
}

func addConfigFlags(flags *pflag.FlagSet) {
	flags.StringP("config", "c", "", "the configuration (default: $"+config.FileVariable+", else config.yaml in the user's folder for protofly)")
	for _, f := range configFlags {
		flags.String(f.flag, "", f.about+" ("+f.key+")")
	}
}

// load reads the configuration that a command's flags and the environment name.
func (c *cli) load(cmd *cobra.Command) (*config.Loaded, error) {
	s := config.Sources{File: c.file(cmd), Environ: c.environ, Flags: map[string]string{}}
	for _, f := range configFlags {
		if flag := cmd.Flags().Lookup(f.flag); flag != nil && flag.Changed {
			s.Flags[f.key] = flag.Value.String()
		}
	}
	l, err := config.Load(s)
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}

// file is the configuration's file; "" where there is none.
func (c *cli) file(cmd *cobra.Command) string {
	if f := cmd.Flags().Lookup("config"); f != nil && f.Changed {
		return f.Value.String()
	}
	if name := c.variable(config.FileVariable); name != "" {
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

func (c *cli) variable(name string) string {
	for _, entry := range c.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// addSocketFlags adds what says where a running runtime is.
func addSocketFlags(flags *pflag.FlagSet) {
	flags.String("socket", "", "the runtime's socket (default: $"+hyperty.SocketVariable+", else the configuration's, else the user's own)")
	flags.StringP("config", "c", "", "take the socket from this configuration")
}

// socket is where the running runtime is.
func (c *cli) socket(cmd *cobra.Command) (string, error) {
	if f := cmd.Flags().Lookup("socket"); f.Changed {
		return f.Value.String(), nil
	}
	given := cmd.Flags().Lookup("config").Changed
	if path := c.variable(hyperty.SocketVariable); path != "" && !given {
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
