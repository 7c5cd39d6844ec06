package sandbox

import (
	"fmt"
	"strings"
)

// FirstUID is the first of the user IDs that plug-ins' processes run under where nothing else is asked for. Neither
// systemd, nor a distribution, nor a usual range of a directory service or of containers gives IDs there.
const FirstUID = 2_100_000_000

// UIDs is how many user IDs there are for plug-ins, from the first one on.
const UIDs = 1 << 16

// Users says whether plug-ins' processes run under dedicated user IDs, and which.
//
// Auto: they do where this process may start such processes; but a plug-in whose configuration names a file that its dedicated
// user cannot read runs under this process's user. Required: all do; a plug-in that cannot is refused. Off: none does.
type Users struct {
	Mode  Mode   // "": Auto
	First uint32 // of the [UIDs] IDs; 0: [FirstUID]
}

// User is the user that a process runs under: a user ID, and a group ID of the same number.
type User struct{ ID uint32 }

// UserError says why processes cannot run under dedicated user IDs on this machine.
type UserError struct{ Why string }

func (e *UserError) Error() string {
	return fmt.Sprintf("plug-ins cannot run under user IDs of their own here: %s", e.Why)
}

// Needs are the files that a process needs, beside its own folder.
type Needs struct {
	Program string   // its executable, and whatever runs that, where it is a script
	Search  string   // as that of [Policy]
	Paths   []string // files and folders to read, with all that is in them; those that do not exist are left out
	// Confined says that the process is confined. There root has no capability to read files that others own.
	Confined bool
}

// Lack is something that a user cannot read, or run.
type Lack struct {
	User User
	Path string
	At   string // the parent folder that the user cannot enter; "": the path itself cannot be used
	Kind LackKind
	// Shared says that it belongs to a group other than root's, whose members can read it; the dedicated user is not one.
	Shared bool
}

// LackKind is what a user cannot do with a path.
type LackKind string

// The kinds.
const (
	LackFile   LackKind = "read"
	LackFolder LackKind = "list"
	LackSocket LackKind = "connect to"
	LackRun    LackKind = "run"
	LackMany   LackKind = "look through" // it has more files than are checked
)

// String says what the user cannot do, and what the operator can do about it.
func (l Lack) String() string {
	id := l.User.ID
	what := fmt.Sprintf("user %d cannot %s %s: ", id, l.Kind, l.Path)
	switch {
	case l.At != "":
		return what + fmt.Sprintf("others may not enter %s (chmod o+x %[1]s, or keep it elsewhere)", l.At)
	case l.Kind == LackMany:
		return fmt.Sprintf("whether user %d can read all of %s is not known: there is too much in it; name what is needed of it", id, l.Path)
	case l.Kind == LackRun:
		return what + fmt.Sprintf("chmod o+x %s", l.Path)
	}
	mode := map[LackKind]string{LackFile: "r", LackFolder: "rx", LackSocket: "w"}[l.Kind]
	if l.Shared {
		return what + fmt.Sprintf("setfacl -m u:%d:%s %s", id, mode, l.Path)
	}
	return what + fmt.Sprintf("chgrp %d %s && chmod g+%s %[2]s", id, l.Path, mode)
}

// Describe says in one line what a user cannot do: the first lack, and the number of others.
func Describe(lacks []Lack) string {
	if len(lacks) == 0 {
		return ""
	}
	text := lacks[0].String()
	if len(lacks) > 1 {
		var more []string
		for _, l := range lacks[1:min(len(lacks), 4)] {
			more = append(more, l.Path)
		}
		text += "; the same for " + strings.Join(more, ", ")
		if left := len(lacks) - 1 - len(more); left > 0 {
			text += fmt.Sprintf(" and %d more", left)
		}
	}
	return text
}
