package family

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// BecomeReaper makes this process the parent of every process below it whose own parent ends.
func BecomeReaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// stranger is a process as /proc shows it.
type stranger struct {
	pid, parent int
	ended       bool // nobody has reaped it yet
}

// readStat reads /proc/PID/stat.
func readStat(pid int) (stranger, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stranger{}, false
	}
	return parseStat(pid, string(text))
}

// parseStat reads "PID (name) state parent …". The name may have anything in it.
func parseStat(pid int, text string) (stranger, bool) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return stranger{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return stranger{pid: pid, parent: parent, ended: fields[0] == "Z" || fields[0] == "X"}, err == nil
}

// processes is every process that can be seen.
func processes() (all []stranger) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if s, ok := readStat(pid); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// sweep kills every process that belongs to none of the host's that live, and is a plug-in's. It returns how many it
// has found.
func (f *Family) sweep() (found int) {
	f.mu.Lock() // no process is being started
	defer f.mu.Unlock()
	return f.sweepOf(processes())
}

// sweepChildren is sweep for this process's own children, which are few: nobody else's are looked at.
func (f *Family) sweepChildren() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if all, ok := children(); ok {
		f.sweepOf(all)
	} else {
		f.sweepOf(processes())
	}
}

// children is this process's own, where the kernel tells (CONFIG_PROC_CHILDREN).
func children() (all []stranger, ok bool) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // that thread has ended
		}
		for _, name := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(name); err == nil {
				if s, ok := readStat(pid); ok {
					all = append(all, s)
				}
			}
		}
	}
	return all, len(lists) > 0
}

// sweepOf is sweep among some. f.mu is held.
func (f *Family) sweepOf(some []stranger) (found int) {
	self := os.Getpid()
	for _, s := range some {
		ours := s.parent == self && f.Reaper && !f.known(s.pid)
		switch {
		case s.ended && ours:
			_, _ = unix.Wait4(s.pid, nil, unix.WNOHANG, nil)
			found++ // its own children are this process's now
		case !s.ended && s.pid != self && f.end(s.pid, ours):
			found++
		}
	}
	return found
}

// end kills a process if it is one of those that the host's have left behind. ours says that it is a child of this
// process that the host has not started.
func (f *Family) end(pid int, ours bool) bool {
	fd, err := unix.PidfdOpen(pid, 0) // from now on the number is this one's, or what is read is nobody's
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	dir, tells := f.birthplace(pid)
	if tells && f.lives(dir) {
		return false // its plug-in runs
	}
	if !tells && !ours || ours && f.known(pid) {
		return false
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

// birthplace is the folder of the plug-in's process that a process descends from, as its environment says.
func (f *Family) birthplace(pid int) (dir string, tells bool) {
	if f.Below == "" {
		return "", false
	}
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return "", false
	}
	defer file.Close()
	text := make([]byte, 64<<10)
	n, _ := file.Read(text)
	for entry := range bytes.SplitSeq(text[:n], []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte("TMPDIR=")); ok {
			parent := filepath.Dir(string(value))
			return string(value), parent == f.Below || parent == f.Before
		}
	}
	return "", false
}

// maxDepth bounds how many parents are asked for.
const maxDepth = 256

func (f *Family) owns(pid int) bool {
	if pid <= 0 {
		return false // of another namespace, where no plug-in is
	}
	self := os.Getpid()
	for at, depth := pid, 0; ; depth++ {
		if f.known(at) {
			return true
		}
		if at == self && depth > 0 {
			return f.Reaper
		}
		if at <= 1 || at == self {
			_, tells := f.birthplace(pid)
			return tells
		}
		s, ok := readStat(at)
		if !ok || depth == maxDepth {
			return true
		}
		at = s.parent
	}
}
