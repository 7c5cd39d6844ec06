package node

import (
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
)

// Permissions are the NATS subjects that a node of the domain publishes and subscribes at an external cluster: the least
// that its user there has to be allowed. NATS.md says what they are for.
func Permissions(domain string) (publish, subscribe []string) {
	return backbone.Permissions(domain, state.TableNames()...)
}

// RedactNATS is the URLs of [Options.NATS] as they may be shown: without users, passwords and tokens.
func RedactNATS(text string) string { return backbone.Redact(text) }
