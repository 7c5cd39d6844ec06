//go:build !linux

package load

import (
	"errors"
	"time"
)

// CPU is not known on this system.
func CPU(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

// Memory is not known on this system.
func Memory(int) (now, peak uint64, err error) { return 0, 0, errors.ErrUnsupported }
