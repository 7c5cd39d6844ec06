package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/internal/profile"
)

func (c *cli) profileCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "profile [PLUGIN]", Short: "Measure where a plug-in spends CPU time or memory",
		Long: `Measure where the process of a plug-in, or, where none is named, the runtime's own, spends CPU time or memory.

The output is a file for "go tool pprof". The kinds are: cpu, over --seconds; allocs, what was allocated
since the process started; heap, what is in use now.`,
		Example: "  protofly profile quic --seconds 10 > quic.pprof && go tool pprof -top quic.pprof",
		Args:    usageArgs(cobra.MaximumNArgs(1))}
	kind := cmd.Flags().String("kind", string(profile.CPU), "cpu, allocs or heap")
	seconds := cmd.Flags().Int("seconds", 5, "the length of a CPU profile, 1 to 60")
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := profile.Check(profile.Kind(*kind), *seconds); err != nil {
			return usageError{err}
		}
		if isTerminal(c.out) {
			return usageError{errors.New("a profile is no text: write it to a file, protofly profile … > FILE")}
		}
		plugin := ""
		if len(args) > 0 {
			plugin = args[0]
		}
		return c.askFor(cmd, time.Duration(*seconds)*time.Second+reloadTime, func(ctx context.Context, client *api.Client) error {
			data, err := client.Profile(ctx, plugin, *kind, *seconds)
			if err != nil {
				return err
			}
			_, err = c.out.Write(data)
			return err
		})
	}
	return cmd
}

// isTerminal tells whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
