package core

import (
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/safefile"
)

// lock takes the data folder for this runtime alone: two runtimes with one key would take each other's messages. The
// system frees the lock when the process ends, however it ends. A folder that others could change is refused.
func lock(dir string, log hclog.Logger) (*flock.Flock, error) {
	if err := safefile.MakeFolder(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	warnings, err := safefile.CheckFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	for _, warning := range warnings {
		log.Warn("data folder is not this user's alone", "why", warning)
	}
	l := flock.New(filepath.Join(dir, "lock"))
	got, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("data folder %s: lock: %w", dir, err)
	}
	if !got {
		return nil, fmt.Errorf("data folder %s is in use by another runtime: end that one, or give this one a folder of its own", dir)
	}
	return l, nil
}
