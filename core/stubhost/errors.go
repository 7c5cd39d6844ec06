package stubhost

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that a caller decides by. They come wrapped with what they are about.
var (
	ErrClosed      = errors.New("the stub host is closed")
	ErrDeployed    = errors.New("the stub is deployed already")
	ErrNotDeployed = errors.New("no such stub is deployed")
	ErrNotRunning  = errors.New("the stub is not running at present: its plug-in is being started again")
	ErrNoDoor      = errors.New("the stub has no such door open")
	ErrNoProcess   = errors.New("it does not run at present")
	ErrHangs       = errors.New("the stub did not end in time when it was asked to")
)

// Reason is why a plug-in could not be started.
type Reason string

// The reasons.
const (
	Missing    Reason = "missing"  // no executable at the path, or it cannot be read
	Checksum   Reason = "checksum" // the executable is not the one that was installed
	NotRunning Reason = "not-run"  // the system refuses to run it
	Exited     Reason = "exited"   // it ended before the handshake
	Garbage    Reason = "garbage"  // it printed something else than the handshake
	Version    Reason = "version"  // it speaks other versions of the link
	Hung       Reason = "hung"     // it did not finish the handshake in time
	Impostor   Reason = "impostor" // it says that it is another plug-in than it was installed as
	LinkFailed Reason = "link"     // the handshake was good, the link was not

	Unseparated Reason = "unseparated" // it has to run under a user ID of its own, and would lose what it needs
)

// StartError says why a plug-in could not be started, and what to do.
type StartError struct {
	Plugin string
	Reason Reason
	Detail string // for people
	Err    error  // what is behind it; may be nil
}

func (e *StartError) Error() string {
	s := fmt.Sprintf("plug-in %s does not start: %s", e.Plugin, e.Detail)
	if e.Err != nil && !strings.Contains(s, e.Err.Error()) {
		s += ": " + e.Err.Error()
	}
	return bounded(s, maxText)
}

func (e *StartError) Unwrap() error { return e.Err }

// ExitError says how a plug-in's process, or one instance in it, ended unasked.
type ExitError struct {
	Plugin string
	Detail string // "exit status 2: panic: …"
}

func (e *ExitError) Error() string { return fmt.Sprintf("plug-in %s exited: %s", e.Plugin, e.Detail) }
