//go:build amd64 || arm64

package sandbox

import (
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filterable says that there is a filter for this architecture.
const filterable = true

// refused is the calls that no plug-in makes in earnest: those that look into other processes, change what the system
// mounts, loads, keeps or tells as time, make namespaces, or make calls that no filter sees.
func refused() []uint32 {
	return append([]uint32{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT,
		unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG,
		unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL,
	}, refusedHere()...)
}

// namespaces are the flags of clone that make some.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET

// Where a call's number, the architecture that it is made by, and the low half of its first argument are in what a
// filter sees (struct seccomp_data). Both architectures are little-endian.
const (
	atNumber       = 0
	atArchitecture = 4
	atFirst        = 16
)

// program is the filter. clone3, whose flags no filter sees, is answered as by a kernel that does not have it: then
// clone is used. Calls by another architecture's numbers are refused, else they would go around the filter.
func program(alone bool) []bpf.Instruction {
	refuse := bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: atArchitecture, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: architecture, SkipTrue: 1},
		refuse,
		bpf.LoadAbsolute{Off: atNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: firstForeign, SkipTrue: 1},
		refuse,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE3, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	}
	numbers := refused()
	if alone {
		numbers = append(numbers, unix.SYS_SOCKET)
	}
	for _, number := range numbers {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: 1}, refuse)
	}
	p = append(p, spare()...)
	return append(p,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE, SkipTrue: 3},
		bpf.LoadAbsolute{Off: atFirst, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: namespaces, SkipTrue: 1},
		refuse,
		bpf.RetConstant{Val: seccompAllow})
}

// spare keeps the calls of a process from the one that this thread is of. The thread is in the sandbox itself, so that
// nothing else keeps signals from it; one that ends it ends its process. Limits are the own process's to set, since no rule
// says whose a thread is.
func spare() (p []bpf.Instruction) {
	refuse := bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	process, thread := uint32(unix.Getpid()), uint32(unix.Gettid())
	for _, number := range []uint32{unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_OPEN} {
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: 5},
			bpf.LoadAbsolute{Off: atFirst, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: process, SkipTrue: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: thread, SkipTrue: 1},
			refuse,
			bpf.LoadAbsolute{Off: atNumber, Size: 4})
	}
	return append(p,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_PRLIMIT64, SkipTrue: 4},
		bpf.LoadAbsolute{Off: atFirst, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1},
		refuse,
		bpf.LoadAbsolute{Off: atNumber, Size: 4})
}

// Numbers of <linux/seccomp.h>. A process with a filter runs slower on kernels before 5.16 unless it says that it needs no
// protection from itself.
const (
	seccompAllow     = 0x7fff0000
	allowSpeculation = 1 << 2
)

// filter puts the filter on the calling thread, which may get no new privileges. alone: without sockets.
func filter(alone bool) error {
	raw, err := bpf.Assemble(program(alone))
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, allowSpeculation, uintptr(unsafe.Pointer(&fprog))); errno != 0 {
		return errno
	}
	return nil
}
