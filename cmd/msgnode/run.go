package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/msgnode/config"
	"github.com/protofly/protofly/internal/config/command"
	"github.com/protofly/protofly/internal/gcpace"
	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

// runCommand runs the node.
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
	pacing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { gcpace.Run(pacing, 0) })
	defer wg.Wait()
	defer stop()
	fmt.Fprintf(stdout, "listening on %s://%s%s domain %s\n", scheme, n.Addr(), node.Path, options.Domain)
	return n.Serve(ctx)
}
