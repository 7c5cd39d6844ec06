//go:build amd64 || arm64

package sandbox

import (
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filterable says that there is a filter for this architecture.
const filterable = true

// refused returns the system calls that no plug-in needs: those that read other processes, that change mounts, modules, keys or
// the time, that make namespaces, or that make calls which no filter sees (io_uring).
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

// namespaces are the flags of clone that make namespaces.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET

// Offsets in the data that a filter sees (struct seccomp_data): a call's number, its architecture, and the low half of its first
// argument. Both architectures are little-endian.
const (
	atNumber       = 0
	atArchitecture = 4
	atFirst        = 16
)

// program returns the filter. It answers clone3, whose flags no filter sees, as a kernel without clone3 does, so that programs
// use clone instead. It refuses calls by another architecture's numbers, which would evade the filter.
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
	p = append(p, protectThread()...)
	return append(p,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE, SkipTrue: 3},
		bpf.LoadAbsolute{Off: atFirst, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: namespaces, SkipTrue: 1},
		refuse,
		bpf.RetConstant{Val: seccompAllow})
}

// protectThread refuses calls that signal the process of this thread, which starts the plug-in. The thread is inside the sandbox
// itself, so that Landlock does not keep signals from it. A process may set limits only of itself, since no filter knows which
// process a thread belongs to.
func protectThread() (p []bpf.Instruction) {
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

// Numbers of <linux/seccomp.h>. On kernels before 5.16 a process with a filter runs slower, unless the filter switches off the
// mitigation of speculative store bypass.
const (
	seccompAllow     = 0x7fff0000
	allowSpeculation = 1 << 2
)

// filter applies the filter to the calling thread, which has no-new-privileges set. alone: it may open no sockets.
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
