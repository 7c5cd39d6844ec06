package link

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlarge has the kernel keep more of what was written.
func enlarge(write *os.File) {
	raw, err := write.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for size := pipeSize; size > 64<<10; size /= 2 { // the limit of the system, or of the user
			if _, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size); err == nil {
				return
			}
		}
	})
}
