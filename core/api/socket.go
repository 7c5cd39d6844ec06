package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/internal/peercred"
)

// InUseError says that another runtime serves at the socket.
type InUseError struct{ Socket string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("a runtime serves at %s already: stop it, or give this one another socket (api.socket)", e.Socket)
}

// maxPath is the longest path of a socket that every system takes.
const maxPath = 103

// listen opens the socket: only its own user can.
func listen(path string, log hclog.Logger, plugin func(pid int) bool) (net.Listener, error) {
	if path == "" {
		return nil, errors.New("no path for the socket")
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("the socket's path %s has %d bytes, at most %d are possible: give a shorter one (api.socket)", path, len(path), maxPath)
	}
	if err := prepareFolder(filepath.Dir(path), log); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	inner, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = inner.Close()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return &guarded{Listener: inner, log: log, plugin: plugin}, nil
}

// prepareFolder makes the socket's folder, or makes sure that nobody else can put something else in the socket's place.
func prepareFolder(dir string, log hclog.Logger) error {
	if err := safefile.MakeFolder(dir); err != nil {
		return fmt.Errorf("folder of the socket: %w", err)
	}
	warnings, err := safefile.CheckPlace(dir)
	if err != nil {
		return fmt.Errorf("folder of the socket: %w; or choose another (api.socket)", err)
	}
	for _, warning := range warnings {
		log.Warn("folder of the application API's socket is not this user's alone", "why", warning)
	}
	return nil
}

// removeStale removes the socket of a runtime that is gone, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("socket %s: %w", path, err)
	case runtime.GOOS != "windows" && info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is there already and is no socket: remove it, or choose another (api.socket)", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return &InUseError{path}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() { // it is there, and busy
		return &InUseError{path}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("socket %s, left by a runtime that is gone: %w", path, err)
	}
	return nil
}

// guarded accepts connections of the own user only, of no plug-in, and gives each a place.
type guarded struct {
	net.Listener
	log    hclog.Logger
	plugin func(pid int) bool
	places places
}

// Accept waits for the next connection that is allowed.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := g.check(conn); err != nil {
			g.log.Warn("connection to the application API refused", "error", err)
			_ = conn.Close()
			continue
		}
		pid, _ := peercred.PID(conn) // 0: not known
		return g.places.enter(conn, pid), nil
	}
}

// check refuses who may not use the API.
func (g *guarded) check(conn net.Conn) error {
	if err := peercred.Check(conn); err != nil || g.plugin == nil {
		return err
	}
	pid, err := peercred.PID(conn)
	switch {
	case errors.Is(err, peercred.ErrUnknown):
		return nil
	case err != nil:
		return fmt.Errorf("cannot tell which process is at the other end: %w", err)
	case g.plugin(pid):
		return fmt.Errorf("at the other end is the process %d of a plug-in, or one that is gone", pid)
	}
	return nil
}
