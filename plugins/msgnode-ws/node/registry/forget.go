package registry

import (
	"context"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// forgetEach is how many disconnected entries a request removes at most: each is a write, for which the request waits.
const forgetEach = 4

// forget removes disconnected entries of c's runtime where there are more than it may have live ones, or where they fill what it, or
// its network address, may have in the state. It removes those that are needed least, see [state.State.LeastNeeded]. So what is gone
// never keeps a runtime from registering something new. The error is one of the table.
func (d *Registry) forget(ctx context.Context, c *routing.Client) error {
	runtime := c.Runtime()
	many := d.state.Registrations.Count(state.GoneTerm(runtime)) - d.limits.Registrations
	if d.heavy(c) {
		many = forgetEach
	}
	if many <= 0 {
		return nil
	}
	for _, key := range d.state.LeastNeeded(runtime, min(many, forgetEach)) {
		ctx, cancel := d.state.Within(ctx)
		err := d.state.Registrations.Change(ctx, key, func(latest *state.Registration) (*state.Registration, error) {
			if latest == nil || latest.Status != state.Disconnected || latest.Owner != runtime { // it is in use again
				return latest, nil
			}
			return nil, nil
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// heavy tells whether c's runtime, or its network address, has most of what it may have in the state.
func (d *Registry) heavy(c *routing.Client) bool {
	source := d.state.SourceTerm(c.From)
	return d.state.Weighs("r:"+string(c.Runtime())) > d.limits.RuntimeState/4*3 ||
		source != "" && d.state.Weighs("s:"+source) > d.limits.AddressState/4*3
}

// tooManyLive tells whether a runtime may have no further live entry.
func (d *Registry) tooManyLive(runtime message.URL) bool {
	return d.state.Live(runtime) >= d.limits.Registrations
}
