package stubhost_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/protofly/protofly/internal/link"
)

// targets are what a hostile plug-in attacks.
type targets struct {
	Key      string // a file that no plug-in may read
	Others   string // the folder of the plug-ins' folders
	Outside  string // a folder where it may not write
	Runtime  int    // the runtime's process
	Threads  []int  // and its threads
	Abstract string // an abstract socket that the runtime serves
	Socket   string // where the runtime serves its API
	Named    string // a file that the configuration names
	Quota    int64  // bytes that its folder may have
	Deep     bool   // also by a process that it starts
	Ports    bool   // it may listen at ports below 1024
}

// attack tries what a plug-in must not be able to do, and returns what it could do.
func attack(text string) (done []string) {
	var t targets
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return []string{err.Error()}
	}
	parent := t.Runtime
	try := func(what string, err error) {
		if err == nil {
			done = append(done, what)
		}
	}
	read := func(path string) error { _, err := os.ReadFile(path); return err }
	list := func(path string) error { _, err := os.ReadDir(path); return err }
	own := os.Getenv("HOME")
	proc := fmt.Sprintf("/proc/%d/", parent)
	try("read the key", read(t.Key))
	try("link the key into its own folder", os.Link(t.Key, filepath.Join(own, "linked")))
	if os.Symlink(t.Key, filepath.Join(own, "symbolic")) == nil {
		try("read the key by a symbolic link", read(filepath.Join(own, "symbolic")))
	}
	try("list the plug-ins' folders", list(t.Others))
	try("list the folder of the key", list(filepath.Dir(t.Key)))
	for _, name := range []string{"environ", "mem", "maps", "cmdline", "root" + t.Key, "cwd", "fd/0", "task"} {
		try("read "+name+" of the runtime", read(proc+name))
	}
	try("list the processes", list("/proc"))
	try("write to the runtime's memory", func() error { _, err := os.OpenFile(proc+"mem", os.O_RDWR, 0); return err }())
	traced := make(chan error)
	go func() { // without stopping it, until this thread ends
		runtime.LockOSThread()
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(parent), 0, 0, 0, 0)
		if errno != 0 {
			traced <- errno
		}
		close(traced)
	}()
	try("trace the runtime", <-traced)
	try("read the runtime's memory", func() error {
		b := make([]byte, 8)
		_, err := unix.ProcessVMReadv(parent, []unix.Iovec{{Base: &b[0], Len: 8}}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
		if errors.Is(err, unix.EFAULT) {
			err = nil // allowed, but there is nothing
		}
		return err
	}())
	try("signal the runtime", unix.Kill(parent, unix.SIGWINCH))
	attackThreads(t, try)
	try("write outside", os.WriteFile(filepath.Join(t.Outside, "x"), []byte("x"), 0o600))
	try("write to /tmp", os.WriteFile(filepath.Join("/tmp", fmt.Sprint("protofly-attack-", os.Getpid())), nil, 0o600))
	try("rename the key", os.Rename(t.Key, filepath.Join(own, "renamed")))
	try("remove the key", os.Remove(t.Key))
	try("truncate the key", os.Truncate(t.Key, 0))
	try("connect to an abstract socket", func() error { _, err := net.Dial("unix", t.Abstract); return err }())
	try("use the runtime's API", func() error {
		c, err := net.Dial("unix", t.Socket)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
		return err
	}())
	try("mount", func() error {
		err := unix.Mount("none", own, "tmpfs", 0, "")
		if err == nil {
			_ = unix.Unmount(own, unix.MNT_DETACH)
		}
		return err
	}())
	try("make a namespace", unix.Unshare(unix.CLONE_NEWUSER))
	try("make core dumps", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1}))
	try("open any number of files", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}))
	// Another process does it, since a Go program that does it ends. Without notrunc dd first makes the file as large as the
	// whole folder may be; a host that checks at that moment kills the plug-in, and there is no answer.
	if t.Quota > 0 {
		large := fmt.Sprintf("dd if=/dev/zero of=large bs=1 count=1 conv=notrunc seek=%d 2>/dev/null; did=$?; rm -f large; exit $did", t.Quota)
		cmd := exec.Command("/bin/sh", "-c", large)
		cmd.Dir = own
		try("write a file larger than its folder may be", cmd.Run())
	}
	try("have capabilities", func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		if err := unix.Capget(&header, &sets[0]); err != nil {
			return err
		}
		if sets[0].Effective&^(1<<unix.CAP_NET_BIND_SERVICE) == 0 && sets[1].Effective == 0 {
			return unix.EPERM
		}
		return nil
	}())
	alone := exec.Command("/bin/true")
	alone.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	try("start a process in a user namespace", alone.Run())
	spaced := exec.Command("/bin/true")
	spaced.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	try("start a process in a namespace", spaced.Run())
	if !t.Deep {
		t.Deep = true
		out, err := exec.Command(must(os.Executable()), specialAttack, string(must(json.Marshal(t)))).Output()
		var more []string
		if err == nil {
			err = json.Unmarshal(out, &more)
		}
		if err != nil {
			done = append(done, "no process of its own: "+err.Error())
		}
		for _, m := range more {
			done = append(done, m+", by a process of its own")
		}
	}
	return done
}

// attackThreads tries what would end or slow another process, with targets whose threads have different users or sandboxes.
func attackThreads(t targets, try func(what string, err error)) {
	call := func(number uintptr, args ...uintptr) error {
		args = append(args, make([]uintptr, 6-len(args))...)
		if _, _, errno := unix.RawSyscall6(number, args[0], args[1], args[2], args[3], args[4], args[5]); errno != 0 {
			return errno
		}
		return nil
	}
	info := [128]byte{8: 0xff, 9: 0xff, 10: 0xff, 11: 0xff} // si_code is SI_QUEUE
	const pidfdThread = unix.O_EXCL
	for _, tid := range append(t.Threads, t.Runtime) {
		runtime, thread, winch := uintptr(t.Runtime), uintptr(tid), uintptr(unix.SIGWINCH)
		try("signal a thread of the runtime", call(unix.SYS_TGKILL, runtime, thread, winch))
		try("signal a thread of the runtime, whosever", call(unix.SYS_TKILL, thread, winch))
		try("signal a thread of the runtime as a process", call(unix.SYS_KILL, thread, winch))
		try("queue a signal for the runtime", call(unix.SYS_RT_SIGQUEUEINFO, thread, winch, uintptr(unsafe.Pointer(&info))))
		try("queue a signal for a thread of the runtime", call(unix.SYS_RT_TGSIGQUEUEINFO, runtime, thread, winch, uintptr(unsafe.Pointer(&info))))
		for _, flags := range []int{0, pidfdThread} {
			if fd, err := unix.PidfdOpen(tid, flags); err == nil {
				try("signal the runtime by a descriptor", unix.PidfdSendSignal(fd, unix.SIGWINCH, nil, 0))
				_ = unix.Close(fd)
			}
		}
		var limit unix.Rlimit
		try("ask for the runtime's limits", unix.Prlimit(tid, unix.RLIMIT_SIGPENDING, nil, &limit))
		try("change the runtime's limits", unix.Prlimit(tid, unix.RLIMIT_SIGPENDING, &limit, nil))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// needs does what an honest plug-in does inside the sandbox, and returns what it could not do.
func needs(text string) (failed []string) {
	var t targets
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return []string{err.Error()}
	}
	try := func(what string, err error) {
		if err != nil {
			failed = append(failed, what+": "+err.Error())
		}
	}
	own := os.Getenv("HOME")
	try("write to its folder", os.WriteFile(filepath.Join(own, "x"), []byte("x"), 0o600))
	try("make a folder", os.MkdirAll(filepath.Join(own, "a", "b"), 0o700))
	try("move a file", os.Rename(filepath.Join(own, "x"), filepath.Join(own, "a", "b", "x")))
	try("make a temporary file", func() error { f, err := os.CreateTemp("", ""); _ = f.Close(); return err }())
	for _, path := range []string{"/dev/urandom"} {
		f, err := os.Open(path)
		try("open "+path, err)
		_, err = io.ReadFull(f, make([]byte, 8))
		try("read "+path, err)
	}
	if _, err := os.Stat("/etc/hosts"); err == nil {
		_, err = os.ReadFile("/etc/hosts")
		try("read /etc/hosts", err)
	}
	if t.Named != "" {
		_, err := os.ReadFile(t.Named)
		try("read what the configuration names", err)
	}
	_, err := net.LookupHost("localhost")
	try("resolve localhost", err)
	_, err = net.Interfaces()
	try("list interfaces", err)
	for _, network := range []string{"udp", "udp4"} {
		c, err := net.ListenPacket(network, "127.0.0.1:0")
		try("listen on "+network, err)
		if err == nil {
			_, err = c.WriteTo([]byte("x"), c.LocalAddr())
			try("send on "+network, err)
			_ = c.Close()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	try("listen on TCP", err)
	if err == nil {
		c, err := net.Dial("tcp", l.Addr().String())
		try("connect by TCP", err)
		if err == nil {
			_ = c.Close()
		}
		_ = l.Close()
	}
	if t.Ports {
		try("listen at a port below 1024", listenLow())
	}
	try("start a program", exec.Command("/bin/sh", "-c", "exit 0").Run())
	try("signal a process of its own", func() error {
		cmd := exec.Command("/bin/sleep", "60")
		if err := cmd.Start(); err != nil {
			return err
		}
		err := cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}())
	return failed
}

// listenLow listens at any port below 1024 that is free.
func listenLow() (err error) {
	for port := 1023; port > 500; port-- {
		l, failed := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if failed == nil {
			return l.Close()
		}
		if err = failed; errors.Is(err, unix.EACCES) {
			return err
		}
	}
	return err
}

const (
	specialAttack = "--attack"
	specialDaemon = "--daemon"
	specialHead   = "--head"
)

// special is what else the test binary does, when a plug-in starts it.
func special(args []string) bool {
	switch args[0] {
	case specialAttack:
		_ = json.NewEncoder(os.Stdout).Encode(attack(args[1]))
		return true
	case specialDaemon:
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: link.Handshake(),
			VersionedPlugins: link.Plugins(foreign{name: args[1]}), GRPCServer: goplugin.DefaultGRPCServer})
		time.Sleep(time.Minute) // whatever its host orders
		return true
	case specialHead: // a head of a hydra: it starts others in its place, for a while
		ignoreSignals()
		for left := must(strconv.Atoi(args[1])); left > 0; left-- {
			grow(left - 1)
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		return true
	}
	return false
}

// beDaemon starts a process that serves the link in place of this one, which then ends.
func beDaemon() {
	child := exec.Command(must(os.Executable()), specialDaemon, "daemon")
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out := must(child.StdoutPipe())
	if err := child.Start(); err != nil {
		panic(err)
	}
	line := make([]byte, 4096)
	n := must(out.Read(line))
	fmt.Print(string(line[:n])) // the handshake
	time.Sleep(time.Second)     // so that the host can open the link
	os.Exit(0)
}

// beHydra ignores all orders; its link, its output and its errors are held open by processes that have left its group, and
// these start others.
func beHydra() {
	ignoreSignals()
	child := exec.Command(must(os.Executable()), specialDaemon, "hydra")
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	child.ExtraFiles = []*os.File{os.NewFile(3, "pipe"), os.NewFile(4, "pipe")} // the pipes of the link, if it has them
	out := must(child.StdoutPipe())
	if err := child.Start(); err != nil {
		panic(err)
	}
	line := make([]byte, 4096)
	n := must(out.Read(line))
	fmt.Print(string(line[:n])) // the handshake
	grow(4)
	time.Sleep(time.Minute)
	runtime.KeepAlive(child)
}

func ignoreSignals() { signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE) }

// grow starts a process that starts so many others.
func grow(heads int) {
	head := exec.Command(must(os.Executable()), specialHead, strconv.Itoa(heads))
	head.Stdout, head.Stderr = os.Stdout, os.Stderr
	head.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := head.Start(); err != nil {
		panic(err)
	}
}

// leaveOrphan starts a process that leaves its parents and ignores requests to end, and returns its ID. With "hide" its
// environment does not name the plug-in's folder.
func leaveOrphan(how string) (int, error) {
	clean := ""
	if how == "hide" {
		clean = "env -i "
	}
	out, err := exec.Command("/bin/sh", "-c", "(trap '' TERM HUP INT; exec "+clean+"setsid sleep 300) >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}
