package safefile

import (
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/folderlock"
)

// Take makes the data folder of a runtime where there is none, checks it as [CheckFolder] does, and locks it for this runtime
// alone: two runtimes with one key would take each other's messages. Warnings go to log. The error wraps [ErrExposed] where
// others could change the folder, and [folderlock.ErrTaken] where another runtime has it.
func Take(dir string, log hclog.Logger) (*folderlock.Lock, error) {
	if err := MakeFolder(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	warnings, err := CheckFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	for _, warning := range warnings {
		log.Warn("data folder is not this user's alone", "why", warning)
	}
	return folderlock.Take(dir, "runtime")
}
