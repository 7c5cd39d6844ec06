package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/msgnode/config"
	dialect "github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/internal/config/command"
	"github.com/protofly/protofly/internal/gcpace"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

// commands is the whole command line.
func commands(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "protofly-node",
		Short:         "Protofly's Message Node: relay between runtimes, addresses, Domain Registry",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.Args = usage(cobra.NoArgs)
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.AddCommand(runCommand(stdout, stderr), configCommand(stderr), admitCommand(stdout, stderr), permissionsCommand(stdout), &cobra.Command{
		Use: "version", Short: "Print the version", Args: usage(cobra.NoArgs),
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(stdout, "protofly-node %s (%s, %s %s/%s)\n", node.Version, node.Subprotocol, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	})
	return root
}

// usage has wrong arguments count as a mistake in the command.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

func runCommand(stdout, stderr io.Writer) *cobra.Command {
	var trace string
	c := &cobra.Command{
		Use: "run", Short: "Run the node until a signal ends it", Args: usage(cobra.NoArgs),
		Long: `Run the node until a signal ends it.

Configuration: defaults < --config FILE < environment (PROTOFLY_NODE_…) < flags.
When the node listens it prints one line on stdout:
  listening on ws://HOST:PORT/protofly domain DOMAIN
Logs go to stderr.`,
		Example: "  protofly-node run --domain example.com --data /var/lib/protofly-node",
	}
	command.AddFlags(c.Flags(), config.Schema())
	c.Flags().StringVar(&trace, "trace", "", "write what crosses the node to this file, a JSON object a line")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := load(cmd)
		if err != nil {
			return err
		}
		return run(cmd.Context(), l, trace, stdout, stderr)
	}
	return c
}

// load reads the configuration that a command's flags and the environment name. The error is a usageError.
func load(cmd *cobra.Command) (*config.Loaded, error) {
	keys := config.Schema()
	l, err := config.Load(dialect.Sources{File: command.File(cmd.Flags(), keys, os.Environ()), Environ: os.Environ(), Flags: command.Given(cmd.Flags(), keys)})
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}

// loadAndWarn is load, and says on stderr which old spellings are in the configuration.
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

func configCommand(stderr io.Writer) *cobra.Command {
	return command.New(command.Program{Schema: config.Schema(), Valid: "the configuration is valid", Args: usage,
		Usage: func(err error) error { return usageError{err} },
		Load:  func(cmd *cobra.Command) (command.Loaded, error) { return loadAndWarn(cmd, stderr) }})
}

// run starts the node and serves until ctx ends.
func run(ctx context.Context, l *config.Loaded, trace string, stdout, stderr io.Writer) (err error) {
	log := logs.New(logs.Options{Name: "node", Output: stderr, JSON: l.Log.Format == "json",
		Level: hclog.LevelFromString(l.Log.Level)})
	for _, warning := range l.Warnings {
		log.Warn("the configuration has an old spelling", "where", warning)
	}
	options, err := l.Options(log)
	if err != nil {
		return usageError{err}
	}
	if trace != "" {
		t, err := openTrace(trace)
		if err != nil {
			return err
		}
		options.Trace = t.event
		defer func() { err = errors.Join(err, t.close()) }()
	}
	n, err := node.New(ctx, options)
	if err != nil {
		return err
	}
	scheme := "ws"
	if options.TLS != nil {
		scheme = "wss"
	}
	resting, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { gcpace.Run(resting, 0) })
	defer wg.Wait()
	defer stop()
	fmt.Fprintf(stdout, "listening on %s://%s%s domain %s\n", scheme, n.Addr(), node.Path, options.Domain)
	return n.Serve(ctx)
}
