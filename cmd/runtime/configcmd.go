package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/runtime/config"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	dialect "github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/internal/config/command"
)

func (c *cli) configCommand() *cobra.Command {
	return command.New(command.Program{Schema: config.Schema(nil), Initial: config.Bundled, Valid: "valid", Args: usageArgs,
		Usage: func(err error) error { return usageError{err} },
		Load: func(cmd *cobra.Command) (command.Loaded, error) {
			l, err := c.load(cmd)
			return checked{l}, err
		}})
}

// checked is a configuration for the commands about it.
type checked struct{ *config.Loaded }

func (l checked) Ready() error { return ready(l.Loaded) }

// ready checks what a configuration needs on this machine: that the plug-ins are installed and unchanged, that the folders can be
// written, and that the key and the pinned names can be read.
func ready(l *config.Loaded) error {
	errs := []error{installed(l)}
	for key, dir := range map[string]string{"data": l.Data, "api.socket": filepath.Dir(l.API.Socket)} {
		if err := dialect.Writable(dir); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	if _, err := safefile.CheckFolder(l.Data); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, fmt.Errorf("data: %w", err))
	} else if trust, err := l.Trusted(); err == nil { // else it was reported before
		if err := identity.Examine(l.Data, trust); err != nil {
			errs = append(errs, fmt.Errorf("data: %w", err))
		}
	}
	errs = append(errs, confinable(l))
	if l.Trace != "" {
		if err := dialect.Writable(filepath.Dir(l.Trace)); err != nil {
			errs = append(errs, fmt.Errorf("trace: %w", err))
		}
	}
	return errors.Join(errs...)
}

// confinable fails if the configuration requires that plug-ins are confined, or have user IDs of their own, and this system
// cannot do it.
func confinable(l *config.Loaded) error {
	var errs []error
	mode := sandbox.Mode(l.Plugins.Sandbox)
	if _, err := sandbox.Available(); err != nil && mode == sandbox.Required {
		errs = append(errs, fmt.Errorf("plugins.sandbox: %w", err))
	}
	if users, err := l.PluginUIDs(); err == nil && users.Mode == sandbox.Required { // else it was reported before
		if err := stubhost.Separable(users, mode); err != nil {
			errs = append(errs, fmt.Errorf("plugins.uids: %w", err))
		}
	}
	return errors.Join(errs...)
}
