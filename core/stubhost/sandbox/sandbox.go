package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Policy says what one process may use beside the system's programs and libraries.
type Policy struct {
	Dir       string   // its own folder, to read and write
	Program   string   // its executable
	Paths     []string // files and folders to read, as the configuration names them; those that do not exist are left out
	Search    string   // where an interpreter is looked for, as PATH; only for programs that are scripts
	NoSockets bool     // it may open no sockets (amd64 and arm64)
	// Separate says that the thread starts its process under another user: [Separate] comes before.
	Separate bool
	Keep     []string // secret folders: an interpreter's folder that is in one, or contains one, is not opened to the process
}

// Limits are the resource limits of a process. Zero leaves a limit as it is.
type Limits struct {
	FileSize  uint64 // of each file that it writes, in bytes
	OpenFiles uint64 // at one time
	Of        *User  // the user of the process; nil: this process's user
}

// maxInterpreter bounds a script's first line.
const maxInterpreter = 256

// interpreters returns the programs that run a script: the one that its first line names, and the one that env looks for. It is
// empty for any other program.
func interpreters(program, search string) (found []string) {
	f, err := os.Open(program)
	if err != nil {
		return nil
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxInterpreter)).ReadBytes('\n')
	if err != nil && err != io.EOF {
		return nil
	}
	return parseInterpreters(line, search)
}

// parseInterpreters reads a script's first line.
func parseInterpreters(line []byte, search string) (found []string) {
	rest, script := bytes.CutPrefix(line, []byte("#!"))
	words := strings.Fields(string(rest))
	if !script || len(words) == 0 || !filepath.IsAbs(words[0]) {
		return nil
	}
	found = append(found, words[0])
	if filepath.Base(words[0]) != "env" {
		return found
	}
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue
		}
		for _, dir := range filepath.SplitList(search) {
			path := filepath.Join(dir, word)
			if info, err := os.Stat(path); filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return append(found, path)
			}
		}
		break
	}
	return found
}

// homes returns the folders that the interpreters are installed in, which are the parents of their bin folders. It leaves out
// home folders, and folders that are in a secret folder or contain one.
func homes(programs, keep []string) (dirs []string) {
	for _, program := range programs {
		real, err := filepath.EvalSymlinks(program)
		if err != nil {
			real = program
		}
		for _, path := range []string{program, real} {
			if dir := filepath.Dir(filepath.Dir(path)); mayRead(dir, keep) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// mayRead tells whether a folder may be opened to the process as a whole.
func mayRead(dir string, keep []string) bool {
	if home, err := os.UserHomeDir(); err == nil {
		keep = append([]string{home, filepath.Join(home, ".local")}, keep...)
	}
	if dir == "/" || !filepath.IsAbs(dir) {
		return false
	}
	for _, k := range keep {
		if within(k, dir) {
			return false
		}
	}
	return true
}

// within tells whether path is dir, or is in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// UnavailableError says why processes cannot be confined here.
type UnavailableError struct{ Why string }

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("plug-ins cannot be confined here: %s", e.Why)
}
