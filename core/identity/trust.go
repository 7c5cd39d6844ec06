package identity

import (
	"errors"
	"fmt"
	"slices"

	"github.com/protofly/protofly/sdk/message"
)

// Mode is what is believed about who owns a name.
type Mode string

// The modes.
const (
	Any    Mode = "any"    // where it was signed for last, of what the Domain Registry has
	Pinned Mode = "pinned" // what it said first: a name stays with the first runtime that it was found at
)

// Trust is with whom this runtime speaks. The zero value is everybody. A runtime's address is derived from its key, so
// a list of addresses is a list of keys.
type Trust struct {
	Mode Mode // "": Any
	// Peers is the allow-list: where it is empty every runtime may. There is none of domains: any Message Node lets any
	// key connect under any domain, so that a runtime's domain says nothing of who it is.
	Peers []message.URL
	// Pins says at which runtime each of these hyperties must be, in every mode.
	Pins map[message.URL]message.URL
	// WithoutSessions is who may be spoken with without a session. The zero value is nobody.
	WithoutSessions WithoutSessions
}

// Check says what is wrong with the configuration.
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
		if u, err := message.ParseURL(string(name)); err != nil || u.Scheme() != message.SchemeHyperty || u.Base() != u {
			errs = append(errs, fmt.Errorf("pins: %q is no hyperty's address, as hyperty://example.com/bob", name))
		}
		if err := checkRuntime(runtime); err != nil {
			errs = append(errs, fmt.Errorf("pins: %s: %w", name, err))
		}
	}
	return errors.Join(append(errs, t.WithoutSessions.check()...)...)
}

// KnownFile is the name of the file in the data folder that keeps where names were found first: behind the first line,
// which package safefile has written, a name and a runtime on each line.
const KnownFile = "known-names"

// knownKind is what it is, for package safefile.
const knownKind = "known-names"

const (
	maxKnown     = 1 << 16 // names
	maxKnownFile = 64 << 20
)

// Errors of [Policy]; they come with what to do.
var (
	ErrNotListed  = errors.New("not in the allow-list")
	ErrOtherOwner = errors.New("name has changed its owner")
	ErrNoSession  = errors.New("not allowed without a session")
)

// Modes are the words for a Mode in a configuration.
func Modes() []string { return slices.Clone([]string{string(Any), string(Pinned)}) }
