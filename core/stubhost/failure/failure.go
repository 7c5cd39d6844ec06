// Package failure has the errors of plug-ins that do not start or have ended. A plug-in may be written by a stranger, so each
// text that comes from one is cut to a bounded length before it is kept.
package failure

import (
	"fmt"
	"strings"
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

	Unseparated Reason = "unseparated" // it must run under a dedicated user ID, which cannot read what it needs
)

// StartError says why a plug-in could not be started, and what to do.
type StartError struct {
	Plugin string
	Reason Reason
	Detail string // what happened and what to do, for the operator
	Err    error  // the cause; may be nil
}

func (e *StartError) Error() string {
	s := fmt.Sprintf("plug-in %s does not start: %s", e.Plugin, e.Detail)
	if e.Err != nil && !strings.Contains(s, e.Err.Error()) {
		s += ": " + e.Err.Error()
	}
	return Text(s, MaxText)
}

func (e *StartError) Unwrap() error { return e.Err }

// ExitError says how a plug-in's process, or one instance in it, ended unexpectedly.
type ExitError struct {
	Plugin string
	Detail string // "exit status 2: panic: …"
}

func (e *ExitError) Error() string { return fmt.Sprintf("plug-in %s exited: %s", e.Plugin, e.Detail) }
