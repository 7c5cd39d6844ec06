package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxLooked = 1 << 16 // files and folders that are looked at in one folder that is named
	maxDepth  = 64      // folders in folders
	maxLacks  = 1 << 10
	maxLinks  = 40 // that lead to one another, as the kernel has it
)

// Lacks finds out which of the files that a process needs a user cannot read or run. lost are those that this process's user can,
// missing those that it cannot either. It tries to open them as that user, on a new thread, so that modes, owners,
// access lists, security modules and network file systems all count. The error says that the thread cannot act as that user.
func Lacks(u User, n Needs) (lost, missing []Lack, err error) {
	l := checker{user: u, most: maxLooked}
	programs := append([]string{n.Program}, interpreters(n.Program, n.Search)...) // read as this process's user
	OnThread(func() {
		if err = assumeAccess(u); err == nil {
			l.look(programs, n.Paths)
		}
	})
	if err != nil || len(l.lacks) == 0 {
		return nil, nil, err
	}
	OnThread(func() {
		if n.Confined {
			_, err = keepCapabilities(keptForPorts)
		}
		for _, lack := range l.lacks {
			var st unix.Stat_t
			lack.Shared = unix.Stat(lack.Path, &st) == nil && st.Gid != 0
			if lack.Kind == LackMany || access(lack.Path, lack.Kind) == nil {
				lost = append(lost, lack)
			} else {
				missing = append(missing, lack)
			}
		}
	})
	return lost, missing, err
}

// access tells whether the calling thread may use a path in the way of the kind.
func access(path string, kind LackKind) error {
	mode := map[LackKind]uint32{LackFile: unix.R_OK, LackFolder: unix.R_OK | unix.X_OK, LackSocket: unix.W_OK, LackRun: unix.X_OK}[kind]
	return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
}

// checker checks what the calling thread may read.
type checker struct {
	user   User
	most   int // the largest number of files to check in one folder
	looked int
	lacks  []Lack
}

func (l *checker) look(programs, paths []string) {
	for _, path := range programs {
		l.see(path, LackRun)
	}
	system := append(strings.Fields(systemDirs), strings.Fields(systemFiles)...)
	system = append(append(system, os.Getenv("SSL_CERT_FILE")), filepath.SplitList(os.Getenv("SSL_CERT_DIR"))...)
	for _, path := range system {
		if path != "" {
			l.see(path, kindOf(path))
		}
	}
	for _, path := range paths {
		l.looked = 0
		l.walk(path, 0)
		if l.looked > l.most {
			l.lack(path, LackMany)
		}
	}
}

// see checks a path and notes it if it cannot be used. A path that does not exist is no lack. It tells whether the path can be
// used.
func (l *checker) see(path string, kind LackKind) bool {
	err := access(path, kind)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		l.lack(path, kind)
	}
	return err == nil
}

func (l *checker) lack(path string, kind LackKind) {
	if len(l.lacks) < maxLacks {
		l.lacks = append(l.lacks, Lack{User: l.user, Path: path, At: closed(path, maxLinks), Kind: kind})
	}
}

// kindOf returns how a path is used.
func kindOf(path string) LackKind {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return LackFolder
	case err == nil && info.Mode()&os.ModeSocket != 0:
		return LackSocket
	}
	return LackFile
}

// walk checks a path and, if that is a folder, all that is in it. It checks the target of a link in a folder, but does not enter
// it.
func (l *checker) walk(path string, depth int) {
	kind := kindOf(path)
	if !l.see(path, kind) || kind != LackFolder {
		return
	}
	d, err := os.Open(path)
	if err != nil {
		return // it was removed in the meantime
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(256)
		for _, e := range entries {
			if l.looked++; l.looked > l.most || depth > maxDepth {
				l.looked = l.most + 1
				return
			}
			below := filepath.Join(path, e.Name())
			if e.IsDir() {
				l.walk(below, depth+1)
			} else {
				l.see(below, kindOf(below))
			}
		}
		if err != nil || len(entries) == 0 {
			return
		}
	}
}

// closed returns the first parent folder of a path that the calling thread cannot enter; "" if there is none.
func closed(path string, links int) string {
	for i, c := range path {
		if c != filepath.Separator {
			continue
		}
		if dir := path[:max(i, 1)]; errors.Is(unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS), unix.EACCES) {
			return dir
		}
	}
	target, err := os.Readlink(path)
	if err != nil || links == 0 {
		return ""
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	return closed(target, links-1)
}
