package core

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/sdk/message"
)

// SetPluginStart changes how long a plug-in's process may take to say that it runs.
func SetPluginStart(c *Config, d time.Duration) { c.waits.pluginStart = d }

// SetUnacked changes how long a message may stay unacknowledged before its sender is told that it is lost.
func SetUnacked(c *Config, d time.Duration) { c.waits.unacked = d }

// FromStub has a stub post what its node may have made up.
func FromStub(rt *Runtime, stub message.URL, m message.Message) {
	_ = rt.deployer.Receive(context.Background(), stub, m)
}

// Deploy has a stub deployed as the Registry would.
func Deploy(ctx context.Context, rt *Runtime, d registry.Deployment) error {
	return rt.deployer.Deploy(ctx, d)
}

// Request has a component of a runtime ask somebody, without any name of a hyperty.
func Request(ctx context.Context, rt *Runtime, m message.Message) (message.Message, error) {
	return RequestAs(ctx, rt, "registry", m)
}

// RequestAs is Request for the component with that path: what a runtime that was altered may say.
func RequestAs(ctx context.Context, rt *Runtime, path string, m message.Message) (message.Message, error) {
	m.From = rt.URL().Join(path)
	return Ask(ctx, rt, m)
}

// Ask asks somebody in any name.
func Ask(ctx context.Context, rt *Runtime, m message.Message) (message.Message, error) {
	return rt.bus.Request(ctx, m)
}
