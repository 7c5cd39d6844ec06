package registry

import (
	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
)

// followings are this runtime's subscriptions to others' /registry/changes. The loop owns them.
type followings struct {
	on bool
	by map[message.URL]*following
}

// following is one subscription.
type following struct {
	changes.Subscription
	rt   *directory.Runtime
	stop func() // ends the listener
}
