package link

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlarge makes the kernel keep more unread bytes for a pipe.
func enlarge(write *os.File) {
	raw, err := write.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for size := pipeSize; size > 64<<10; size /= 2 { // a smaller size if it exceeds the limit of the system, or of the user
			if _, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size); err == nil {
				return
			}
		}
	})
}
