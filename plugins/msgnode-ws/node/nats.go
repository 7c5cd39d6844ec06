package node

import "github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"

// tableNames are the names of the node's tables, behind the domain's prefix.
func tableNames() []string {
	return []string{"addresses", "subscriptions", "registry", "sessions", "redeemed"}
}

// Permissions are the NATS subjects that a node of the domain publishes and subscribes at an external cluster: the least
// that its user there has to be allowed. NATS.md says what they are for.
func Permissions(domain string) (publish, subscribe []string) {
	return backbone.Permissions(domain, tableNames()...)
}

// RedactNATS is the URLs of [Options.NATS] as they may be shown: without users, passwords and tokens.
func RedactNATS(text string) string { return backbone.Redact(text) }
