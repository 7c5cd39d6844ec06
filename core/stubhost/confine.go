package stubhost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// confine finds out what confines the processes here, and says so once where nothing does.
func (h *Host) confine() (err error) {
	if h.o.Sandbox == sandbox.Off {
		h.unsafe = "it is switched off"
		h.o.Log.Warn("plug-ins are not confined: they may do what this process's user may", "reason", h.unsafe)
		return nil
	}
	h.sandbox, err = sandbox.Available()
	if err == nil {
		return nil
	}
	if h.o.Sandbox == sandbox.Required {
		return fmt.Errorf("%w, and the configuration requires it", err)
	}
	h.unsafe = err.Error()
	var why *sandbox.UnavailableError
	if errors.As(err, &why) {
		h.unsafe = why.Why
	}
	h.o.Log.Warn("plug-ins are not confined: they may do what this process's user may", "reason", h.unsafe)
	return nil
}

// Sandbox says what confines the plug-ins' processes; confined is false where nothing does, and how says why.
func (h *Host) Sandbox() (how string, confined bool) {
	if h.sandbox == "" {
		return h.unsafe, false
	}
	return h.sandbox, true
}

// policy is what a process may use.
func (h *Host) policy(spec Plugin, program, dir string) *sandbox.Policy {
	if h.sandbox == "" {
		return nil
	}
	return &sandbox.Policy{Dir: dir, Program: program, Paths: filepath.SplitList(spec.Paths), Search: os.Getenv("PATH"),
		Keep: append([]string{h.o.Dir}, h.o.Secret...)}
}
