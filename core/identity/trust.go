package identity

import (
	"errors"
	"fmt"
	"slices"

	"github.com/protofly/protofly/sdk/message"
)

// Mode says which runtime is believed to own the name of a hyperty.
type Mode string

// The modes.
const (
	Any    Mode = "any"    // the last one that signed for it at the Domain Registry
	Pinned Mode = "pinned" // the first one that was found at the Domain Registry
)

// Trust is the trust policy: which remote runtimes may exchange messages with this one. The zero value allows all that prove
// their address. A runtime's address is derived from its key, so a list of addresses is a list of keys.
type Trust struct {
	Mode Mode // "": Any
	// Peers is the allow-list; empty: every runtime is allowed. There is no allow-list of domains, because a runtime's domain
	// proves nothing: any Message Node lets any key connect under any domain.
	Peers []message.URL
	// Pins are the owners of these hyperties, in every mode.
	Pins map[message.URL]message.URL
	// WithoutSessions are the runtimes that need no session. The zero value has none.
	WithoutSessions WithoutSessions
}

// Check returns what is wrong with the configuration.
func (t Trust) Check() error {
	var errs []error
	if t.Mode != "" && t.Mode != Any && t.Mode != Pinned {
		errs = append(errs, fmt.Errorf("mode %q: want %s or %s", t.Mode, Any, Pinned))
	}
	for _, p := range t.Peers {
		if err := checkRuntime(p); err != nil {
			errs = append(errs, fmt.Errorf("peers: %w", err))
		}
	}
	for name, runtime := range t.Pins {
		if name.Check() != nil || name.Scheme() != message.SchemeHyperty || name.Base() != name {
			errs = append(errs, fmt.Errorf("pins: %q is no hyperty's address, as hyperty://example.com/bob, with its domain in lower case", name))
		}
		if err := checkRuntime(runtime); err != nil {
			errs = append(errs, fmt.Errorf("pins: %s: %w", name, err))
		}
	}
	return errors.Join(append(errs, t.WithoutSessions.check()...)...)
}

// KnownFile is the name of the file in the data folder that keeps which runtime was found first as the owner of a name. The first
// line is what package safefile writes; each other line has a name and a runtime.
const KnownFile = "known-names"

// knownKind is the kind of that file, for package safefile.
const knownKind = "known-names"

const (
	maxKnown     = 1 << 16 // names
	maxKnownFile = 64 << 20
)

// Errors of [Policy]. They are wrapped in an error that says what to do.
var (
	ErrNotListed  = errors.New("not in the allow-list")
	ErrOtherOwner = errors.New("name has changed its owner")
	ErrNoSession  = errors.New("not allowed without a session")
)

// Modes are the words for a Mode in a configuration.
func Modes() []string { return slices.Clone([]string{string(Any), string(Pinned)}) }
