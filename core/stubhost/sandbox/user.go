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

// Users is whether plug-ins' processes run under user IDs of their own, and which.
//
// Auto is where this process may start such processes, and for each plug-in that loses nothing by it: one whose
// configuration names a file that its user cannot read runs under this process's user. Required is always: what cannot be
// so is refused. Off is never.
type Users struct {
	Mode  Mode   // "": Auto
	First uint32 // of the [UIDs] IDs; 0: [FirstUID]
}

// User is whom a process runs under: a user ID, and a group of the same number.
type User struct{ ID uint32 }

// UserError says why processes cannot run under user IDs of their own here.
type UserError struct{ Why string }

func (e *UserError) Error() string {
	return fmt.Sprintf("plug-ins cannot run under user IDs of their own here: %s", e.Why)
}

// Needs is what a process needs of the file system, beside its own folder.
type Needs struct {
	Program string   // its executable, and whatever runs that, where it is a script
	Search  string   // as that of [Policy]
	Paths   []string // files and folders to read, with all that is in them; those that do not exist are left out
	// Confined says that it needs no more than it gets in the sandbox, where root has no capability to read what others own.
	Confined bool
}

// Lack is something that a user cannot read, or run.
type Lack struct {
	User User
	Path string
	At   string // the folder on the way to it that the user cannot enter; "": it is the path itself
	Kind LackKind
	// Shared says that it belongs to a group that is not root's: who is in that would lose it with another group.
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
	LackMany   LackKind = "look through" // there is more in it than is looked at
)

// String says what the user lacks, and what to do.
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

// Describe says what a user lacks in one line: the first of it, and how much more there is.
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
