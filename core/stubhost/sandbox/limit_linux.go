package sandbox

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Limit sets the limits of a running process. Processes that it has started already keep theirs. Limit uses another thread than
// the caller's, since a confined thread cannot limit other processes.
func Limit(pid int, l Limits) (err error) {
	var other sync.WaitGroup
	other.Go(func() { err = limit(pid, l) })
	other.Wait()
	if errors.Is(err, unix.EPERM) && l.Of != nil { // without CAP_SYS_RESOURCE only the user itself may
		OnThread(func() {
			if err = become(*l.Of); err == nil {
				err = limit(pid, l)
			}
		})
	}
	if err != nil {
		return fmt.Errorf("limits of process %d: %w", pid, err)
	}
	return nil
}

func limit(pid int, l Limits) error {
	set := func(resource int, to uint64) error {
		var now unix.Rlimit
		if err := unix.Prlimit(pid, resource, nil, &now); err != nil {
			return err
		}
		now.Max = min(now.Max, to)
		now.Cur = min(now.Cur, now.Max)
		return unix.Prlimit(pid, resource, &now, nil)
	}
	errs := []error{set(unix.RLIMIT_CORE, 0)}
	if l.FileSize > 0 {
		errs = append(errs, set(unix.RLIMIT_FSIZE, l.FileSize))
	}
	if l.OpenFiles > 0 {
		errs = append(errs, set(unix.RLIMIT_NOFILE, l.OpenFiles))
	}
	return errors.Join(errs...)
}
