package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/runtime/config"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/printable"
	"github.com/protofly/protofly/sdk"
)

func (c *cli) pluginsCommand() *cobra.Command {
	parent := &cobra.Command{Use: "plugins", Short: "List, install and reload protostubs", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	list := &cobra.Command{Use: "list", Short: "List the installed plug-ins, and check their files",
		Args: usageArgs(cobra.NoArgs)}
	asJSON := list.Flags().Bool("json", false, "print one JSON array")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := c.installed(cmd)
		if err != nil && all == nil {
			return err
		}
		if *asJSON {
			return errors.Join(printJSON(cmd.OutOrStdout(), all), err)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tVERSION\tKIND\tSTATE\tABOUT")
		for _, p := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Name, printable.Line(p.Version), p.Kind, p.State, printable.Line(p.About))
		}
		return errors.Join(w.Flush(), err)
	}
	install := &cobra.Command{Use: "install FILE...", Short: "Install plug-ins; each program is run once, to describe itself",
		Example: "  protofly plugins install bin/quic bin/webrtc bin/msgnode-ws", Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := c.pluginSettings(cmd)
			if err != nil {
				return err
			}
			dir, installer := l.Dir, catalogue.Installer{Sandbox: sandbox.Mode(l.Sandbox)}
			for _, paths := range l.Paths { // the program has not said yet which plug-in it is
				installer.Paths = append(installer.Paths, paths...)
			}
			for _, file := range args {
				d, err := installer.Install(cmd.Context(), file, dir)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "installed %s %s (%s) in %s\n", d.Name, printable.Line(d.Version), d.Kind, dir)
			}
			return nil
		}}
	for _, cmd := range []*cobra.Command{list, install} {
		addConfigFlags(cmd.Flags())
	}
	parent.AddCommand(list, install, c.reloadCommand())
	return parent
}

// reloadTime is how long a reload may take, to start the new process and to drain the old one.
const reloadTime = time.Minute

func (c *cli) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "reload NAME", Short: "Replace a running plug-in by the one that is installed now",
		Long: `Replace a running plug-in by the one that is installed now.

The new process is started beside the old one and takes over its connections one by one, while messages flow. If the new
program has the wrong checksum, or does not start, the old process goes on and the error says why.`,
		Example: "  protofly plugins install bin/quic && protofly plugins reload quic", Args: usageArgs(cobra.ExactArgs(1))}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	restart := cmd.Flags().Bool("restart", false, "end the old process first; needed for a plug-in that is configured to listen at a fixed port")
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.askFor(cmd, reloadTime, func(ctx context.Context, client *api.Client) error {
			r, err := client.Reload(ctx, args[0], *restart)
			switch {
			case err != nil:
				return err
			case *asJSON:
				return printJSON(cmd.OutOrStdout(), r)
			case !r.Running:
				fmt.Fprintf(cmd.OutOrStdout(), "%s does not run; version %s is used when it does\n", r.Plugin, printable.Line(r.NewVersion))
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: version %s (process %d) has taken over from %s (process %d): started in %.2f s, old process drained in %.2f s\n",
				r.Plugin, printable.Line(r.NewVersion), r.NewPID, printable.Line(r.OldVersion), r.OldPID, r.HandOver, r.Drain)
			if r.Cut > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%d connections could not be moved in time: they were cut and are set up again\n", r.Cut)
			}
			return nil
		})
	}
	return cmd
}

// pluginFolder is where plug-ins are installed. The configuration need not be one that a runtime could start with.
func (c *cli) pluginFolder(cmd *cobra.Command) (string, error) {
	l, err := c.pluginSettings(cmd)
	return l.Dir, err
}

// pluginSettings is the part of the configuration about plug-ins.
func (c *cli) pluginSettings(cmd *cobra.Command) (config.Plugins, error) {
	if c.file(cmd) == "" { // without a file there is no domain, and none is needed here
		if err := cmd.Flags().Set("domain", "localhost"); err != nil {
			return config.Plugins{}, err
		}
	}
	l, err := c.load(cmd)
	if err != nil {
		return config.Plugins{}, err
	}
	return l.Plugins, nil
}

// plugin is an installed plug-in as "plugins list" prints it.
type plugin struct {
	catalogue.Descriptor
	State string `json:"state"` // "ok", or what is wrong
}

func (c *cli) installed(cmd *cobra.Command) ([]plugin, error) {
	dir, err := c.pluginFolder(cmd)
	if err != nil {
		return nil, err
	}
	cat, err := catalogue.Open(dir)
	if err != nil {
		return nil, err
	}
	list, err := cat.List()
	all := []plugin{}
	for _, d := range list {
		p := plugin{d, "ok"}
		if e := whole(d); e != nil {
			p.State = e.Error()
		}
		all = append(all, p)
	}
	return all, err
}

// whole fails if a plug-in's program is not the one that was installed.
func whole(d catalogue.Descriptor) error {
	f, err := os.Open(d.Path)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if hex.EncodeToString(h.Sum(nil)) != d.SHA256 {
		return errors.New("has changed since it was installed (wrong checksum): install it again")
	}
	return nil
}

// installed fails if a plug-in that a configuration uses is not installed, has changed, or is of the wrong kind.
func installed(l *config.Loaded) error {
	cat, err := catalogue.Open(l.Plugins.Dir)
	if err != nil {
		return fmt.Errorf("plugins.dir: %w", err)
	}
	var errs []error
	check := func(key, name string, kind sdk.Kind) {
		d, err := cat.Find(name)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		case d.Kind != kind:
			errs = append(errs, fmt.Errorf("%s: the plug-in %s is of the kind %q, not %q", key, name, d.Kind, kind))
		default:
			if err := whole(d); err != nil {
				errs = append(errs, fmt.Errorf("%s: the plug-in %s %w", key, name, err))
			}
		}
	}
	check("plugins.node", l.Plugins.Node, sdk.KindNode)
	use, err := inUse(l)
	if err != nil {
		errs = append(errs, fmt.Errorf("plugins.dir: %w", err))
	}
	for _, name := range use {
		check("plugins.use", name, sdk.KindP2P)
	}
	for _, name := range l.P2P.Prefer {
		if !slices.Contains(use, name) {
			errs = append(errs, fmt.Errorf("p2p.prefer: %s is not one of the P2P plug-ins in use", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Stubs)) {
		if l.UseAll && name != l.Plugins.Node && !slices.Contains(use, name) { // else it was reported before
			errs = append(errs, fmt.Errorf("stubs.%s: no plug-in of that name is used: those are %s", name, strings.Join(append([]string{l.Plugins.Node}, use...), ", ")))
		}
	}
	return errors.Join(errs...)
}

// inUse are the P2P plug-ins that a configuration uses: those that it names, else all that are installed.
func inUse(l *config.Loaded) ([]string, error) {
	if !l.UseAll {
		return l.Plugins.Use, nil
	}
	cat, err := catalogue.Open(l.Plugins.Dir)
	if err != nil {
		return nil, err
	}
	list, err := cat.List()
	var use []string
	for _, d := range list {
		if d.Kind == sdk.KindP2P {
			use = append(use, d.Name)
		}
	}
	return use, err
}
