package bus

import (
	"context"

	"github.com/protofly/protofly/sdk/message"
)

// Reply posts the response m of one of the core's own components. It never waits, so a component that answers in its listener
// is not held up by a requester that takes no answers: the replies to one component of this runtime, or to one remote
// runtime, are posted one after the other in a goroutine of theirs. Up to 256 wait, each for at most 10 s once it is first;
// more are dropped.
func (b *MessageBus) Reply(m message.Message) {
	kept := b.replies.lanes.Do(b.asker(m.To), len(m.Body)+len(m.From)+len(m.To), func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, replyTime)
		defer cancel()
		if err := b.Post(bounded, m); err != nil && ctx.Err() == nil {
			b.log.Debug("reply not posted", "to", m.To, "error", err)
		}
	})
	if !kept {
		b.log.Debug("reply dropped: too many wait", "to", m.To)
	}
}

// asker returns what the replies to an address are queued by. A remote runtime may have any number of other addresses, so all
// of these count as one: only applications of this runtime need a reply at such an address.
func (b *MessageBus) asker(to message.URL) message.URL {
	if runtime := to.Runtime(); runtime != "" && runtime != b.runtime {
		return runtime
	}
	if to.Within(b.runtime) || b.listeners.Has(to) {
		return to.Canonical()
	}
	return "others"
}
