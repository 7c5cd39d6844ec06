package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/hyperty/peercred"
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
	if err := prepareFolder(filepath.Dir(path)); err != nil {
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
func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("folder of the socket: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("folder of the socket: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("folder of the socket: others can write in %s: chmod 700 it, or choose another (api.socket)", dir)
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

// guarded accepts connections of the own user only, of no plug-in, and not too many.
type guarded struct {
	net.Listener
	log    hclog.Logger
	plugin func(pid int) bool

	mu   sync.Mutex
	open int
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
		g.mu.Lock()
		full := g.open >= maxConnections
		if !full {
			g.open++
		}
		g.mu.Unlock()
		if full {
			g.log.Warn("connection to the application API refused: too many are open", "open", maxConnections)
			_ = conn.Close()
			continue
		}
		return &counted{Conn: conn, from: g}, nil
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

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	from *guarded
	once sync.Once
}

// Close closes the connection.
func (c *counted) Close() error {
	c.once.Do(func() {
		c.from.mu.Lock()
		c.from.open--
		c.from.mu.Unlock()
	})
	return c.Conn.Close()
}
