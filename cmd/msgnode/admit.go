package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/msgnode/config"
	"github.com/protofly/protofly/internal/config/command"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
	"github.com/protofly/protofly/sdk/message"
)

// admitCommand makes tokens.
func admitCommand(stdout, stderr io.Writer) *cobra.Command {
	var runtime string
	var lasts time.Duration
	var uses int
	c := &cobra.Command{
		Use: "admit", Short: "Make a token that lets a runtime use the node", Args: usage(cobra.NoArgs),
		Long: `Make a token that lets a runtime use the node, where admit.members or admit.visitors is invited.

The token is printed on stdout; its ID, by which admit.revoked takes it back, on stderr. It may be made while the node
runs, and counts at every node of the domain that has the same key (admit.key). A runtime shows it as
stubs.msgnode-ws.token in its configuration. Another key in the key's file takes back every token at once.`,
		Example: `  protofly-node admit --config node.yaml                   # for one runtime, the first that uses it
  protofly-node admit --config node.yaml --runtime hyperty-runtime://example.com/… --for 0
  protofly-node admit --config node.yaml --uses 0          # for whoever has it`,
	}
	c.Flags().StringVar(&runtime, "runtime", "", "the one runtime that the token is for")
	c.Flags().DurationVar(&lasts, "for", 30*24*time.Hour, "how long it may be used, 0 for ever")
	c.Flags().IntVar(&uses, "uses", 1, "how many runtimes may use it, 0 for any number")
	command.AddFlags(c.Flags(), config.Schema())
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := loadAndWarn(cmd, stderr)
		if err != nil {
			return err
		}
		if lasts < 0 {
			return usageError{fmt.Errorf("admit: for %v: want a time, or 0 for ever", lasts)}
		}
		t := node.Token{Runtime: message.URL(runtime), Uses: uses}
		if lasts > 0 {
			t.Expires = time.Now().Add(lasts)
		}
		text, made, err := node.Invite(node.Options{Domain: l.Domain, Data: l.Data, Admit: l.Admit.Options()}, t)
		if err != nil && !errors.As(err, new(*fs.PathError)) {
			err = usageError{err} // else the key's file cannot be read or written
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(stderr, describe(made, l.Domain))
		if l.Admit.Members != node.Invited && l.Admit.Visitors != node.Invited {
			fmt.Fprintln(stderr, "this configuration admits nobody by token: admit.members or admit.visitors would have to be invited")
		}
		fmt.Fprintln(stdout, text)
		return nil
	}
	return c
}

// describe returns a token's contents for people.
func describe(t node.Token, domain string) string {
	whom := "any number of runtimes"
	switch {
	case t.Runtime != "":
		whom = string(t.Runtime)
	case t.Uses == 1:
		whom = "one runtime, the first that uses it"
	case t.Uses > 1:
		whom = fmt.Sprintf("%d runtimes, the first that use it", t.Uses)
	}
	until := "for ever"
	if !t.Expires.IsZero() {
		until = "until " + t.Expires.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("token %s for %s at the node of %s, %s", t.ID, whom, domain, until)
}
