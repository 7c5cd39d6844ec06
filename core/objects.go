package core

import (
	"context"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/sdk/message"
)

// objects lets the sync manager register data objects at the Registry.
type objects struct{ r *registry.Registry }

func (o objects) Register(ctx context.Context, s syncmanager.Object) (message.URL, error) {
	return o.r.RegisterObject(ctx, registry.Object{
		URL: s.URL, Scheme: s.Scheme, Name: s.Name, Schema: s.Schema, Reporter: s.Reporter, Resources: s.Resources, Private: s.Private,
	})
}

func (o objects) Unregister(ctx context.Context, url message.URL) error {
	return o.r.UnregisterObject(ctx, url)
}
