package core

import (
	"context"

	"github.com/protofly/protofly/sdk/message"
)

// FromStub has a stub post what its node may have made up.
func FromStub(rt *Runtime, stub message.URL, m message.Message) { rt.fromStub(rt.ctx, stub, m) }

// Request has a component of a runtime ask somebody, without any name of a hyperty.
func Request(ctx context.Context, rt *Runtime, m message.Message) (message.Message, error) {
	m.From = rt.URL().Join("registry")
	return rt.bus.Request(ctx, m)
}
