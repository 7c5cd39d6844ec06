package descendants

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// BecomeReaper makes this process the parent of every descendant whose own parent ends.
func BecomeReaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// procStat is a process as /proc shows it.
type procStat struct {
	pid, parent int
	ended       bool // it has exited and was not reaped yet
	kernel      bool // it is a thread of the kernel, which has no environment
}

// readStat reads /proc/PID/stat.
func readStat(pid int) (procStat, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, false
	}
	return parseStat(pid, string(text))
}

const (
	flagsField   = 6          // of /proc/PID/stat, behind the name
	kernelThread = 0x00200000 // PF_KTHREAD
)

// parseStat reads "PID (name) state parent …". The name may have anything in it.
func parseStat(pid int, text string) (procStat, bool) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return procStat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	s := procStat{pid: pid, parent: parent, ended: fields[0] == "Z" || fields[0] == "X"}
	if len(fields) > flagsField {
		flags, _ := strconv.ParseUint(fields[flagsField], 10, 64)
		s.kernel = flags&kernelThread != 0
	}
	return s, err == nil
}

// processes is every process that can be seen.
func processes() (all []procStat) {
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

// sweep kills all orphans. It returns how many it has found, and the processes for which it cannot decide yet.
func (f *Tracker) sweep() (found int, unread []int) {
	own := f.pauseStarts()
	defer own.resumeStarts()
	return own.sweepOf(processes())
}

// sweepChildren kills the orphans among this process's children. These are few, so that it costs less than sweep.
func (f *Tracker) sweepChildren() {
	own := f.pauseStarts()
	defer own.resumeStarts()
	if all, ok := children(); ok {
		own.sweepOf(all)
	} else {
		own.sweepOf(processes())
	}
}

// children returns this process's children, where the kernel lists them (CONFIG_PROC_CHILDREN).
func children() (all []procStat, ok bool) {
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

// paused is a Tracker while no process is being started, from pauseStarts to resumeStarts. Methods that need that are methods of
// paused.
type paused struct{ *Tracker }

func (f *Tracker) pauseStarts() paused {
	f.mu.Lock()
	return paused{f}
}

func (f paused) resumeStarts() { f.mu.Unlock() }

// sweepOf kills the orphans among some processes.
func (f paused) sweepOf(some []procStat) (found int, unread []int) {
	self := os.Getpid()
	for _, s := range some {
		ours := s.parent == self && f.Reaper && !f.known(s.pid)
		switch {
		case s.ended && ours:
			_, _ = unix.Wait4(s.pid, nil, unix.WNOHANG, nil)
			found++ // its children have become this process's
		case !s.ended && s.pid != self:
			switch f.end(s.pid, ours) {
			case orphan:
				found++
			case unknown:
				if !s.kernel {
					unread = append(unread, s.pid)
				}
			}
		}
	}
	return found, unread
}

// finding says what a process is.
type finding int

const (
	other   finding = iota // no orphan, or it has ended
	orphan                 // it was killed
	unknown                // its environment cannot be read yet; see tmpdirOf
)

// end kills a process if it is an orphan of the host. ours says that it is a child of this process that the host has not
// started.
func (f *Tracker) end(pid int, ours bool) finding {
	fd, err := unix.PidfdOpen(pid, 0) // the signal reaches this process, even if its ID is given to another one below
	if err != nil {
		return other
	}
	defer unix.Close(fd)
	dir, tells := f.tmpdirOf(pid)
	switch {
	case tells == yes && f.running(dir): // its plug-in runs
		return other
	case tells == unread && !ours:
		return unknown
	case tells != yes && !ours || ours && f.known(pid):
		return other
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if err == nil || errors.Is(err, unix.EPERM) {
		return orphan
	}
	return other
}

// telling says whether a process's environment names a plug-in's folder.
type telling int

const (
	no telling = iota
	yes
	unread
)

// tmpdirOf returns TMPDIR in the environment of a process. tells is yes if this is the folder of a plug-in's process, and
// unread if there is no environment: the kernel shows none of a process that is in the middle of execve, so the caller tries
// again later. But a process may also have none for good.
func (f *Tracker) tmpdirOf(pid int) (dir string, tells telling) {
	if f.Root == "" {
		return "", no
	}
	read := f.environ
	if read == nil {
		read = readEnviron
	}
	text, err := read(pid)
	if err != nil {
		return "", no
	}
	if len(text) == 0 {
		return "", unread
	}
	for entry := range bytes.SplitSeq(text, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte("TMPDIR=")); ok {
			if parent := filepath.Dir(string(value)); parent == f.Root || parent == f.OldRoot {
				return string(value), yes
			}
			return string(value), no
		}
	}
	return "", no
}

// readEnviron returns the environment of a process, or the first 64 KiB of it.
func readEnviron(pid int) ([]byte, error) {
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text := make([]byte, 64<<10)
	n, err := file.Read(text)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return text[:n], err
}

// maxDepth bounds how many parents owns looks up.
const maxDepth = 256

func (f *Tracker) owns(pid int) bool {
	if pid <= 0 {
		return false // a process of another PID namespace, in which no plug-in runs
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
			_, tells := f.tmpdirOf(pid)
			for range rereads {
				if tells != unread {
					break
				}
				time.Sleep(clearPause) // the end of an execve can only be polled
				_, tells = f.tmpdirOf(pid)
			}
			return tells == yes
		}
		s, ok := readStat(at)
		if !ok || depth == maxDepth {
			return true
		}
		at = s.parent
	}
}
