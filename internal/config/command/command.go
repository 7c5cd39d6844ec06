// Package command is the commands of a configuration, the same for every program: config check, config show and config init,
// and the flags that set keys.
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
	// Show is the effective configuration; see [config.Values.Show].
	Show(origin bool) (string, error)
	// Ready tells whether a program can start with it on this machine.
	Ready() error
}

// Program is whose configuration it is.
type Program struct {
	// Schema is the keys that have flags.
	Schema *config.Schema
	// Initial is the keys that init writes, for what the flags give; nil: Schema.
	Initial func(config.Sources) *config.Schema
	// Load reads the configuration that a command's flags and the environment name.
	Load func(cmd *cobra.Command) (Loaded, error)
	// Usage marks an error as a mistake in the command or the configuration.
	Usage func(error) error
	// Valid is what check says of a configuration that is.
	Valid string
	// Args makes what counts arguments report a mistake as the program does.
	Args func(cobra.PositionalArgs) cobra.PositionalArgs
}

// New is the command "config" with its three.
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

// write makes a new file that only its owner may read: passwords may be put into it.
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

// Given is the flags that were given, by key.
func Given(flags *pflag.FlagSet, s *config.Schema) map[string]string {
	given := map[string]string{}
	for _, f := range s.Flags() {
		if flag := flags.Lookup(f.Flag); flag != nil && flag.Changed {
			given[f.Key] = flag.Value.String()
		}
	}
	return given
}

// File is the file that --config or the variable of environ names; "" where neither does.
func File(flags *pflag.FlagSet, s *config.Schema, environ []string) string {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String()
	}
	return config.Variable(environ, s.ConfigVariable())
}
