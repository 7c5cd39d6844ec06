package hyperty

import (
	"context"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

// Limits of a [Registration].
const (
	MaxName      = 128 // bytes of [Registration].Name
	maxListed    = 64  // resources, data schemes
	maxListEntry = 256 // bytes of one
)

// Registration is what a hyperty asks to be registered with (specification, "Registry: register hyperty"). The zero
// value asks for an address that the Message Node chooses.
type Registration struct {
	// Name is the identifier that the address is to have: hyperty://<domain>/<Name>. It has letters, digits and "-._~". The
	// first runtime that asks for it gets it, and keeps it over restarts. Empty: the Message Node chooses.
	Name        string
	User        message.URL // the user for whom it acts
	Descriptor  message.URL // of the hyperty, in the catalogue
	Resources   []string    // what it handles: "chat", "file", …; others find it by them
	DataSchemes []string    // schemes of the data objects that it takes
}

// Check returns an error that names what in r is not allowed.
func (r Registration) Check() error {
	if len(r.Name) > MaxName {
		return fmt.Errorf("the name of %d bytes is longer than %d", len(r.Name), MaxName)
	}
	for i := 0; i < len(r.Name); i++ {
		c := r.Name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
			return fmt.Errorf("the name %q has the character %q: a name has letters, digits and -._~ only; "+
				"hyperty://example.com/bob has the name bob", r.Name, c)
		}
	}
	for what, u := range map[string]message.URL{"user": r.User, "descriptor": r.Descriptor} {
		if u == "" {
			continue
		}
		if _, err := message.ParseURL(string(u)); err != nil {
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
