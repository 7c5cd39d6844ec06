package stubhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/protofly/protofly/core/stubhost/stub"
	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk/message"
)

// Deploy starts an instance of p, and p's process if it is not running. It returns when the instance has started; the stub's
// status says later whether its set-up has worked. Where Deploy returns an error, no instance is left:
// the error is [ErrDeployed], [ErrClosed], ctx's, or a [*StartError]. After a failure the next start of the plug-in waits for
// the back-off. A later Deploy of a plug-in whose path or checksum differ uses the running process if there is one;
// [Host.Reload] moves instances to another executable.
func (h *Host) Deploy(ctx context.Context, p Plugin, in Instance) error {
	if err := check(p, in); err != nil {
		return err
	}
	key := in.URL.Canonical()
	h.mu.Lock()
	switch {
	case h.closing:
		h.mu.Unlock()
		return ErrClosed
	case h.instances[key] != nil:
		h.mu.Unlock()
		return fmt.Errorf("deploy %s: %w", in.URL, ErrDeployed)
	}
	pl := h.plugins[p.Name]
	if pl == nil {
		pl = h.launcher.plugin(p.Name)
		h.plugins[p.Name] = pl
	}
	pl.setSpec(p)
	d := &deployed{Stub: stub.New(h.launcher.ctx, h.stubs, pl.name, pl, in), plugin: pl, gone: make(chan struct{})}
	h.instances[key] = d
	pl.acquire()
	h.launcher.wg.Go(func() { h.run(d) })
	h.mu.Unlock()
	select {
	case <-d.Deployed():
		return nil
	case <-d.gone:
		return fmt.Errorf("deploy %s: %w", in.URL, d.Err())
	case <-ctx.Done():
		d.Drop()
		<-d.gone
		return fmt.Errorf("deploy %s: %w", in.URL, ctx.Err())
	}
}

// run runs an instance until it ends. It is the instance's goroutine.
func (h *Host) run(d *deployed) {
	defer close(d.gone)
	defer d.plugin.release()
	defer h.remove(d)
	d.Run()
}

// remove takes an instance out of the table.
func (h *Host) remove(d *deployed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if key := d.URL.Canonical(); h.instances[key] == d {
		delete(h.instances, key)
	}
}

func check(p Plugin, in Instance) error {
	switch {
	case p.Name == "":
		return errors.New("deploy: the plug-in has no name")
	case in.URL == "" || in.Runtime == "":
		return fmt.Errorf("deploy a stub of %s: it needs a stub URL and a runtime URL", p.Name)
	case !utf8.ValidString(in.Domain) || !utf8.ValidString(string(in.Role)):
		return fmt.Errorf("deploy %s: its domain or role is not UTF-8", in.URL)
	case len(in.Config) > link.MaxConfig:
		return fmt.Errorf("deploy %s: a configuration of %d bytes, at most %d are allowed", in.URL, len(in.Config), link.MaxConfig)
	case len(in.Config) > 0 && !json.Valid(in.Config):
		return fmt.Errorf("deploy %s: the configuration is not JSON", in.URL)
	}
	for _, u := range []message.URL{in.URL, in.Runtime, in.Remote, in.Handler} {
		if _, err := message.ParseURL(string(u)); u != "" && err != nil {
			return fmt.Errorf("deploy a stub of %s: %w", p.Name, err)
		}
	}
	return nil
}

// Undeploy ends an instance. It returns when the stub has ended; what it posted last may still be on its way to
// Options.Message. The error is [ErrNotDeployed], or wraps [ErrHangs] (it is dropped all the same) or ctx's (it goes
// on ending).
func (h *Host) Undeploy(ctx context.Context, stub message.URL) error {
	h.mu.Lock()
	d := h.instances[stub.Canonical()]
	h.mu.Unlock()
	if d == nil {
		return fmt.Errorf("undeploy %s: %w", stub, ErrNotDeployed)
	}
	err := d.Stop(ctx)
	h.remove(d)
	if err != nil {
		return fmt.Errorf("undeploy %s: %w", stub, err)
	}
	return nil
}
