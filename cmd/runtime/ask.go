package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/printable"
	"github.com/protofly/protofly/sdk/message"
)

// askTime is how long a running runtime may take to answer.
const askTime = 10 * time.Second

// ask connects to the running runtime for one request.
func (c *cli) ask(cmd *cobra.Command, question func(ctx context.Context, client *api.Client) error) error {
	return c.askFor(cmd, askTime, question)
}

// askFor is ask with another time limit.
func (c *cli) askFor(cmd *cobra.Command, limit time.Duration, question func(ctx context.Context, client *api.Client) error) error {
	socket, err := c.socket(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	client, err := api.Dial(ctx, socket)
	if err != nil {
		return fmt.Errorf("%w (start one with: protofly run; or name its socket with --socket)", err)
	}
	defer client.Close()
	return question(ctx, client)
}

func (c *cli) statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show the state of the running runtime: hyperties, connections, sessions, plug-ins", Args: usageArgs(cobra.NoArgs)}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.ask(cmd, func(ctx context.Context, client *api.Client) error {
			st, err := client.Status(ctx)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), st)
			}
			return printStatus(cmd.OutOrStdout(), st, time.Now())
		})
	}
	return cmd
}

func (c *cli) pathCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "path URL", Short: "Show which way a message would go now, and why",
		Example: "  protofly path hyperty://example.com/bob", Args: usageArgs(cobra.ExactArgs(1))}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	addSocketFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := message.ParseURL(args[0])
		if err != nil {
			return usageError{err}
		}
		return c.ask(cmd, func(ctx context.Context, client *api.Client) error {
			p, err := client.Path(ctx, to)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), p)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, row := range [][2]string{{"to", string(p.To)}, {"way", string(p.Way)}, {"runtime", string(p.Remote)},
				{"session", p.Session}, {"door", string(p.Door)}, {"stub", string(p.Stub)}, {"why", p.Why}} {
				if row[1] != "" {
					fmt.Fprintf(w, "%s\t%s\n", row[0], printable.Line(row[1]))
				}
			}
			return w.Flush()
		})
	}
	return cmd
}

func (c *cli) traceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "trace", Short: "Print what the runtime does, as JSON lines, until interrupted",
		Args: usageArgs(cobra.NoArgs)}
	addSocketFlags(cmd.Flags())
	bodies := cmd.Flags().Bool("bodies", false, "show the first 512 bytes of each message's body, unencrypted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		socket, err := c.socket(cmd)
		if err != nil {
			return err
		}
		client, err := api.Dial(cmd.Context(), socket)
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Trace(cmd.Context(), *bodies, nil, func(e trace.Event, leftOut uint64) {
			if leftOut > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d events left out\n", leftOut)
			}
			_ = json.NewEncoder(cmd.OutOrStdout()).Encode(e)
		})
	}
	return cmd
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// report prints a status as tables; ages are measured from now.
type report struct {
	w   *tabwriter.Writer
	now time.Time
}

func printStatus(out io.Writer, st api.Status, now time.Time) error {
	r := report{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), now: now}
	fmt.Fprintf(r.w, "runtime %s, version %s, up %s\n", st.Runtime, printable.Line(st.Version), r.age(st.Started))
	r.addresses(st)
	r.remotes(st)
	r.plugins(st)
	if st.LeftOut > 0 {
		fmt.Fprintf(r.w, "\n%d entries more are left out\n", st.LeftOut)
	}
	return r.w.Flush()
}

// addresses prints the hyperties and data objects of this runtime.
func (r report) addresses(st api.Status) {
	r.table(len(st.Hyperties), "HYPERTY", "AGE", "USER")
	for _, h := range st.Hyperties {
		r.row(h.URL, r.age(h.Since), h.User)
	}
	r.table(len(st.Objects), "DATA OBJECT", "AGE", "REPORTER")
	for _, o := range st.Objects {
		r.row(o.URL, r.age(o.Since), o.Reporter)
	}
}

// remotes prints the connections and sessions with other runtimes.
func (r report) remotes(st api.Status) {
	r.table(len(st.Connections), "P2P CONNECTION WITH", "PLUG-IN", "STATE", "AGE", "MESSAGES GO", "ADDRESSES", "DOOR", "WHY")
	for _, p := range st.Connections {
		r.row(p.Remote, p.Plugin, p.State, r.age(p.Since), wayTo(st, p.Remote), p.Addresses, p.Door, p.Why)
	}
	r.table(len(st.Sessions), "SESSION WITH", "WAY", "SENT", "RECEIVED", "UNACKNOWLEDGED", "OUTSTANDING", "DOOR")
	for _, s := range st.Sessions {
		r.row(s.Remote, wayTo(st, s.Remote), s.Sent, s.Received, s.Unacknowledged, s.Outstanding, s.Door)
	}
	behind := heldUp(st)
	r.table(len(behind), "HELD UP", "WHERE", "MESSAGES WAIT", "BYTES", "POSTERS WAIT")
	for _, h := range behind {
		r.row(h.Address, h.where, h.Messages, h.Bytes, h.Posters)
	}
	r.table(len(st.WithoutSessions), "RUNTIME WITHOUT A SESSION", "SESSION", "SENT", "RECEIVED", "AGE", "THAT MEANS")
	for _, s := range st.WithoutSessions {
		r.row(s.Remote, s.Session, s.Sent, s.Received, r.age(s.Since), "not once, not in order, not unread")
	}
}

// plugins prints the plug-ins and their instances.
func (r report) plugins(st api.Status) {
	r.table(len(st.Stubs), "STUB", "PLUG-IN", "ROLE", "STATE", "AGE", "WHY")
	for _, s := range st.Stubs {
		r.row(s.URL, s.Plugin, s.Role, s.State, r.age(s.Since), s.Why)
	}
	r.table(len(st.Plugins), "PLUG-IN", "VERSION", "STATE", "PID", "AGE", "RESTARTS", "INSTANCES", "SANDBOX", "USER", "LAST ERROR")
	for _, p := range st.Plugins {
		user, _, _ := strings.Cut(p.User, ": ")
		r.row(p.Name, p.Version, p.State, p.PID, r.age(p.Since), p.Restarts, p.Instances, p.Sandbox, user, p.LastError)
	}
	special := specialUsers(st)
	r.table(len(special), "PLUG-IN", "USER", "BECAUSE")
	for _, p := range special {
		user, why, _ := strings.Cut(p.User, ": ")
		r.row(p.Name, user, why)
	}
}

func (r report) age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return r.now.Sub(t).Truncate(time.Second).String()
}

// table begins a table of n rows, if there are any.
func (r report) table(n int, head ...any) {
	if n > 0 {
		fmt.Fprintln(r.w)
		r.row(head...)
	}
}

// row prints the cells of a row, each made printable.
func (r report) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		if texts[i] = printable.Line(fmt.Sprint(cell)); texts[i] == "" {
			texts[i] = "-"
		}
	}
	fmt.Fprintln(r.w, strings.Join(texts, "\t"))
}

// specialUsers are the plug-ins whose user the runtime explains.
func specialUsers(st api.Status) (list []api.Plugin) {
	for _, p := range st.Plugins {
		if strings.Contains(p.User, ": ") {
			list = append(list, p)
		}
	}
	return list
}

// held is an address whose messages wait, and the runtime where it is.
type held struct {
	api.HeldUp
	where string
}

// heldUp is every address whose messages wait, of all sessions.
func heldUp(st api.Status) (list []held) {
	for _, s := range st.Sessions {
		for _, h := range s.HeldUp {
			list = append(list, held{h, string(s.Remote)})
		}
		for _, h := range s.Waiting {
			list = append(list, held{h, "here, from " + string(s.Remote)})
		}
	}
	return list
}

// wayTo is the way of the messages to a remote runtime; "" if there is no session with it.
func wayTo(st api.Status, remote message.URL) api.Way {
	for _, s := range st.Sessions {
		switch {
		case s.Remote != remote:
		case s.Direct:
			return api.WayDirect
		default:
			return api.WayRelay
		}
	}
	return ""
}
