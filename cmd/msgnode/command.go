package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/protofly/protofly/internal/gcpace"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

// command is the whole command line.
func command(stdout, stderr io.Writer) *cobra.Command {
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
	root.AddCommand(runCommand(stdout, stderr), configCommand(stdout), admitCommand(stdout, stderr), permissionsCommand(stdout), &cobra.Command{
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
	var file, trace string
	c := &cobra.Command{
		Use: "run", Short: "Run the node until a signal ends it", Args: usage(cobra.NoArgs),
		Long: `Run the node until a signal ends it.

Configuration: defaults < --config FILE < environment (PROTOFLY_NODE_…) < flags.
When the node listens it prints one line on stdout:
  listening on ws://HOST:PORT/protofly domain DOMAIN
Logs go to stderr.`,
		Example: "  protofly-node run --domain example.com --data /var/lib/protofly-node",
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (YAML)")
	c.Flags().StringVar(&trace, "trace", "", "write what crosses the node to this file, a JSON object a line")
	addFlags(c.Flags())
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := load(file, cmd.Flags())
		if err != nil {
			return err
		}
		return run(cmd.Context(), config, trace, stdout, stderr)
	}
	return c
}

func configCommand(stdout io.Writer) *cobra.Command {
	root := &cobra.Command{Use: "config", Short: "Look at the configuration", Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var file string
	sub := func(use, short string, f func(*Config) error) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: usage(cobra.NoArgs)}
		c.Flags().StringVar(&file, "config", "", "configuration file (YAML)")
		addFlags(c.Flags())
		c.RunE = func(cmd *cobra.Command, _ []string) error {
			config, err := load(file, cmd.Flags())
			if err != nil {
				return err
			}
			return f(config)
		}
		return c
	}
	root.AddCommand(
		sub("validate", "Check the configuration", func(c *Config) error {
			if _, err := c.options(hclog.NewNullLogger()); err != nil {
				return usageError{err}
			}
			fmt.Fprintln(stdout, "the configuration is valid")
			return nil
		}),
		sub("show", "Print the effective configuration, secrets hidden", func(c *Config) error {
			text, err := yaml.Marshal(c.shown())
			if err == nil {
				_, err = stdout.Write(text)
			}
			return err
		}))
	return root
}

// run starts the node and serves until ctx ends.
func run(ctx context.Context, config *Config, trace string, stdout, stderr io.Writer) (err error) {
	log := logs.New(logs.Options{Name: "node", Output: stderr, JSON: config.Log.Format == "json",
		Level: hclog.LevelFromString(config.Log.Level)})
	options, err := config.options(log)
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

// certificate loads the TLS files; both or none must be given.
func certificate(cert, key string) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" || key == "" {
		return nil, errors.New("tls: cert and key belong together, one is missing")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls: %s, %s: %w", cert, key, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
