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

// FromStub makes a stub post a message that its node may have made up.
func FromStub(rt *Runtime, stub message.URL, m message.Message) {
	_ = rt.deployer.Receive(context.Background(), stub, m)
}

// Deploy has a stub deployed as the Registry would.
func Deploy(ctx context.Context, rt *Runtime, d registry.Deployment) error {
	return rt.deployer.Deploy(ctx, d)
}

// Request sends a request from a component of a runtime, not from a hyperty.
func Request(ctx context.Context, rt *Runtime, m message.Message) (message.Message, error) {
	return RequestAs(ctx, rt, "registry", m)
}

// RequestAs is Request from the component with that path, as a runtime with altered code may send it.
func RequestAs(ctx context.Context, rt *Runtime, path string, m message.Message) (message.Message, error) {
	m.From = rt.URL().Join(path)
	return Ask(ctx, rt, m)
}

// Ask sends a request with any `from`.
func Ask(ctx context.Context, rt *Runtime, m message.Message) (message.Message, error) {
	return rt.bus.Request(ctx, m)
}
