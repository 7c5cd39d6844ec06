package hyperty

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// Limits of a [Registration].
const (
	MaxName      = message.MaxName // bytes of [Registration].Name
	maxListed    = 64              // resources, data schemes
	maxListEntry = 256             // bytes of one
)

// Registration is what a hyperty asks to be registered with (specification, "Registry: register hyperty"). The zero
// value asks for an address that the Message Node chooses.
type Registration struct {
	// Name is the identifier to be had in the address: hyperty://<domain>/<Name>. It has 1 to [MaxName] of a–z, 0–9, ".", "_" and
	// "-", and begins with a letter or a digit (see [message.CheckName]). The first runtime that asks for it gets it, and keeps it
	// over restarts until [Hyperty.Release]. Empty: the Message Node chooses.
	Name string
	// Ephemeral is for who sends and asks, and need not be found: the hyperty gets an address below the runtime's own, of which
	// neither the Message Node nor other runtimes are told. So it is there at once, also while the node is away, and leaves nothing
	// behind. It can be answered, and whoever has its address can send to it, from runtimes that have sessions. It has no Name.
	// A runtime of an earlier version registers it like one without a name.
	Ephemeral bool
	// Resumed says that Name is the last part of an address that the hyperty had before and had not wished for. It gets that address
	// again, and no longer than it would have kept it. A [Client] sets it where it registers its hyperties again.
	Resumed     bool
	User        message.URL // the user for whom it acts
	Descriptor  message.URL // of the hyperty, in the catalogue
	Resources   []string    // what it handles: "chat", "file", …; others find it by them
	DataSchemes []string    // schemes of the data objects that it takes
}

// Check returns an error that names what in r is not allowed.
func (r Registration) Check() error {
	if r.Name != "" {
		if err := message.CheckName(r.Name); err != nil {
			return err
		}
		if r.Ephemeral && !r.Resumed {
			return fmt.Errorf("a hyperty that is ephemeral has no name, and it is to be registered as %q", r.Name)
		}
	}
	for what, u := range map[string]message.URL{"user": r.User, "descriptor": r.Descriptor} {
		if u == "" {
			continue
		}
		if err := u.Check(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	for what, list := range map[string][]string{"resources": r.Resources, "data schemes": r.DataSchemes} {
		if len(list) > maxListed {
			return fmt.Errorf("%d %s, at most %d are allowed", len(list), what, maxListed)
		}
		for _, entry := range list {
			if entry == "" || len(entry) > maxListEntry {
				return fmt.Errorf("%s: an entry of %d bytes, 1 to %d are allowed", what, len(entry), maxListEntry)
			}
		}
	}
	return nil
}

// Runtime registers hyperties: a [Client], or a runtime in the same process.
type Runtime interface {
	// Register makes a hyperty. The error is a *message.ResponseError where the runtime or the Message Node refuses:
	// 409 says that another runtime has the name.
	Register(ctx context.Context, r Registration) (*Hyperty, error)
}
