package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

// permissionsCommand prints what a node's user of an external NATS has to be allowed.
func permissionsCommand(stdout io.Writer) *cobra.Command {
	var domain string
	c := &cobra.Command{
		Use: "nats-permissions", Short: "Print the least permissions of a node's user at an external NATS", Args: usage(cobra.NoArgs),
		Long:    "Print the least permissions of a node's user at an external NATS, as the NATS server's configuration has them.",
		Example: "  protofly-node nats-permissions --domain example.com",
		RunE: func(*cobra.Command, []string) error {
			if err := (node.Options{Domain: domain, Data: "."}).Check(); err != nil {
				return usageError{err}
			}
			publish, subscribe := node.Permissions(domain)
			list := func(subjects []string) string { return `["` + strings.Join(subjects, "\",\n    \"") + `"]` }
			_, err := fmt.Fprintf(stdout, "permissions: {\n  publish: {allow: %s}\n  subscribe: {allow: %s}\n}\n", list(publish), list(subscribe))
			return err
		},
	}
	c.Flags().StringVar(&domain, "domain", "", "domain that the node serves")
	return c
}
