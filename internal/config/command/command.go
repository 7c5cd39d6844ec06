// Package command has the commands of a configuration, which every program has: config check, config show and config init.
// It also has the flags that set keys.
package command

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/protofly/protofly/internal/config"
)

// Loaded is a configuration that was read.
type Loaded interface {
	// Show returns the effective configuration; see [config.Values.Show].
	Show(origin bool) (string, error)
	// Ready returns nil if the program can start with it on this machine.
	Ready() error
}

// Program is the program whose configuration it is.
type Program struct {
	// Schema has the keys that have flags.
	Schema *config.Schema
	// Initial returns the keys that "config init" writes, given the flags; nil: it writes those of Schema.
	Initial func(config.Sources) *config.Schema
	// Load reads the configuration that a command's flags and the environment name.
	Load func(cmd *cobra.Command) (Loaded, error)
	// Usage marks an error as a mistake in the command line or the configuration.
	Usage func(error) error
	// Valid is what "config check" prints for a valid configuration.
	Valid string
	// Args wraps a check of the number of arguments, so that its error is reported as the program's other usage errors.
	Args func(cobra.PositionalArgs) cobra.PositionalArgs
}

// New makes the command "config" with its three subcommands.
func New(p Program) *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Check, show and begin a configuration", Args: p.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	parent.AddCommand(p.check(), p.show(), p.init())
	return parent
}

func (p Program) check() *cobra.Command {
	cmd := &cobra.Command{Use: "check [--config FILE]", Aliases: []string{"validate"}, Short: "Check the configuration; one that is valid starts",
		Args: p.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := p.Load(cmd)
			if err == nil {
				err = l.Ready()
			}
			if err != nil {
				return p.Usage(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), p.Valid)
			return err
		}}
	AddFlags(cmd.Flags(), p.Schema)
	return cmd
}

func (p Program) show() *cobra.Command {
	cmd := &cobra.Command{Use: "show [--config FILE]", Short: "Print the effective configuration; secrets are hidden", Args: p.Args(cobra.NoArgs)}
	origin := cmd.Flags().Bool("origin", false, "say where each value comes from: default, the file and the line, the variable, or flag")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := p.Load(cmd)
		if err != nil {
			return p.Usage(err)
		}
		text, err := l.Show(*origin)
		if err == nil {
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
		}
		return err
	}
	AddFlags(cmd.Flags(), p.Schema)
	return cmd
}

func (p Program) init() *cobra.Command {
	cmd := &cobra.Command{Use: "init [FILE]", Short: "Write a commented configuration with every key at its default",
		Long: "Write a commented configuration with every key at its default, to FILE, which must not be there yet, or to stdout.\n" +
			"What flags give is set in it.",
		Example: "  " + p.Schema.Program + " config init --domain example.com config.yaml", Args: p.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, given := p.Schema, Given(cmd.Flags(), p.Schema)
			if p.Initial != nil {
				keys = p.Initial(config.Sources{Flags: given})
			}
			text, err := keys.Init(given)
			if err != nil {
				return p.Usage(err)
			}
			if len(args) == 0 {
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			return write(args[0], text)
		}}
	addKeyFlags(cmd.Flags(), p.Schema)
	return cmd
}

// write makes a new file that only its owner may read, since it may get passwords.
func write(name, text string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("config init: %w", err)
	}
	_, err = f.WriteString(text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("config init: %w", err)
	}
	return nil
}

// AddFlags adds --config and the flags that set keys.
func AddFlags(flags *pflag.FlagSet, s *config.Schema) {
	flags.StringP("config", "c", "", "the configuration (default: $"+s.ConfigVariable()+s.DefaultFile+")")
	addKeyFlags(flags, s)
}

func addKeyFlags(flags *pflag.FlagSet, s *config.Schema) {
	for _, f := range s.Flags() {
		if f.Type == config.Bool {
			flags.Bool(f.Flag, false, f.About)
		} else {
			flags.String(f.Flag, "", f.About)
		}
	}
}

// Given returns the values of the flags that were given, by key.
func Given(flags *pflag.FlagSet, s *config.Schema) map[string]string {
	given := map[string]string{}
	for _, f := range s.Flags() {
		if flag := flags.Lookup(f.Flag); flag != nil && flag.Changed {
			given[f.Key] = flag.Value.String()
		}
	}
	return given
}

// File returns the file that --config or the variable in environ names; "" if neither does.
func File(flags *pflag.FlagSet, s *config.Schema, environ []string) string {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String()
	}
	return config.Variable(environ, s.ConfigVariable())
}
