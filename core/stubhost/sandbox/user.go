package sandbox

import "fmt"

// FirstUID is the first of the user IDs that plug-ins' processes run under where nothing else is asked for. Neither
// systemd, nor a distribution, nor a usual range of a directory service or of containers gives IDs there.
const FirstUID = 2_100_000_000

// UIDs is how many user IDs there are for plug-ins, from the first one on.
const UIDs = 1 << 16

// User is whom a process runs under: a user ID, and a group of the same number.
type User struct{ ID uint32 }

// UserError says why processes cannot run under user IDs of their own here.
type UserError struct{ Why string }

func (e *UserError) Error() string {
	return fmt.Sprintf("plug-ins cannot run under user IDs of their own here: %s", e.Why)
}
