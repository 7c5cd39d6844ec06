package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/internal/printable"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func (c *cli) findCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Find hyperties by user, resource or data scheme",
		Long: "Find hyperties by user, resource or data scheme, as the Domain Registry knows them: address, state, user, resources. Without a\n" +
			"flag it lists those of the runtime's domain.",
		Example: "  protofly find --resource chat\n  protofly find --user user://example.com/bob",
		Args:    usageArgs(cobra.NoArgs),
	}
	var q hyperty.Query
	user := cmd.Flags().String("user", "", "the user for whom they act, as user://example.com/bob")
	cmd.Flags().StringVar(&q.Resource, "resource", "", "what they handle, as chat")
	cmd.Flags().StringVar(&q.Scheme, "scheme", "", "the scheme of the data objects that they take, as comm")
	cmd.Flags().StringVar(&q.Domain, "domain", "", "whose Domain Registry is asked (default: that of the runtime's domain)")
	cmd.Flags().IntVar(&q.Page, "page", 1, "which page")
	cmd.Flags().IntVar(&q.Size, "size", 100, fmt.Sprintf("hyperties of a page, at most %d", hyperty.MaxFound))
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q.User = message.URL(*user)
		client, h, err := c.join(cmd, "", 0)
		if err != nil {
			return err
		}
		findings, err := h.Find(cmd.Context(), q)
		if e := leave(client); err == nil {
			err = e
		}
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), findings)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, f := range findings.Found {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.URL, f.State, printable.Line(string(f.User)), printable.Line(strings.Join(f.Resources, " ")))
		}
		if err := w.Flush(); err != nil || !findings.More {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "there may be more: --page %d\n", q.Page+1)
		return err
	}
	return cmd
}

func (c *cli) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch URL...",
		Short: "Show whether somebody is at addresses, now and with each change: address, state, since when",
		Long: "Show whether somebody is at addresses, now and with each change: address, state, since when. The states are registered, away\n" +
			"(it belongs to somebody who is not there now) and gone. While nobody can be asked the line says so.",
		Example: "  protofly watch hyperty://example.com/bob",
		Args:    usageArgs(cobra.RangeArgs(1, hyperty.MaxWatched)),
	}
	asJSON := cmd.Flags().Bool("json", false, "print each change as JSON")
	count := cmd.Flags().Int("count", 0, "end after this many lines (default: when interrupted)")
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		addresses := make([]message.URL, 0, len(args))
		for _, arg := range args {
			u, err := message.ParseURL(arg)
			if err != nil {
				return usageError{err}
			}
			addresses = append(addresses, u)
		}
		client, h, err := c.join(cmd, "", 0)
		if err != nil {
			return err
		}
		err = watch(cmd, h, addresses, *asJSON, *count)
		if e := leave(client); err == nil {
			err = e
		}
		return err
	}
	return cmd
}

func watch(cmd *cobra.Command, h *hyperty.Hyperty, addresses []message.URL, asJSON bool, count int) error {
	out, n := cmd.OutOrStdout(), 0
	for p, err := range h.Watch(cmd.Context(), addresses...) {
		if err != nil {
			return err
		}
		if asJSON {
			err = json.NewEncoder(out).Encode(p)
		} else {
			_, err = fmt.Fprintln(out, presenceLine(p))
		}
		if n++; err != nil || n == count {
			return err
		}
	}
	return cmd.Context().Err()
}

// presenceLine is a presence for people.
func presenceLine(p hyperty.Presence) string {
	line := fmt.Sprintf("%s %s", p.Address, p.State)
	if !p.Since.IsZero() {
		line += " since " + p.Since.UTC().Format(time.RFC3339)
	}
	if !p.Confirmed {
		line += ", not confirmed"
	}
	if p.Why != "" {
		line += ": " + printable.Line(p.Why)
	}
	return line
}
