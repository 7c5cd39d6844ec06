package syncmanager

import (
	"context"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/sdk/message"
)

// announce has a domain's Message Node send this runtime what is addressed to one of the addresses: for peers
// without sessions (specification, "Subscription manager"). It runs in the background, and a failure is logged only.
func (m locked) announce(t message.Type, domain string, owner message.URL, addresses ...message.URL) {
	m.task(m.self, func(ctx context.Context) {
		_, err := m.ask(ctx, m.messages.Announce(t, domain, owner, "resources", addresses))
		if err != nil && (protocol.CodeOf(err) == message.CodeBadRequest || protocol.CodeOf(err) == message.CodeError) && ctx.Err() == nil {
			// Some nodes want the other of the specification's two names.
			_, err = m.ask(ctx, m.messages.Announce(t, domain, owner, t.String(), addresses))
		}
		if err != nil && ctx.Err() == nil {
			m.log.Debug("the Message Node was not told of an object", "domain", domain, "operation", t, "object", addresses[0], "error", err)
		}
	})
}
