package stubhost_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Every process of a plug-in is confined, also one that was started again after a crash, or by a reload.
func TestSandboxHoldsAfterRestart(t *testing.T) {
	confined(t)
	at, dir := target(t)
	c := newCore(t, func(o *stubhost.Options) { quick(o); o.Dir = dir })
	at.Socket = c.serveOthers()
	spy := stubURL("spy")
	c.deploy("echo", spy)
	pid, _ := c.pid(spy)
	check := func(when string) {
		t.Helper()
		now, _ := c.pid(spy)
		if now == pid {
			t.Fatalf("%s: the same process", when)
		}
		pid = now
		for _, could := range c.list("spy", "attack", at) {
			t.Errorf("%s: a plug-in could %s", when, could)
		}
		if s := c.host.Plugins()[0].Sandbox; !strings.HasPrefix(s, "landlock ") {
			t.Errorf("%s: sandbox: %q", when, s)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.until("the stub to be started again", func() bool { return c.started(spy) == 2 })
	check("after a crash")
	if _, err := c.host.Reload(t.Context(), upgrade(t, "echo"), stubhost.ReloadOptions{}); err != nil {
		t.Fatal(err)
	}
	check("after a reload")
	c.order(spy, "exit")
	c.until("the stub to be started again", func() bool { return c.started(spy) == 4 })
	check("after a crash of what was reloaded")
}

// The sandbox needs no privileges: it also works if the runtime runs as an ordinary user, who owns what is attacked.
func TestSandboxOfAnotherUser(t *testing.T) {
	confined(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root, to start a process of another user; without it the other tests run as one")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("/tmp", "protofly-nobody-") // t.TempDir may be in a folder that other users cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "program")
	if err := errors.Join(copyFile(self(), program), os.Chown(program, nobody, nobody), os.Chown(dir, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	tests := []string{"TestPluginReachesNothingThatIsNotItsOwn", "TestConfinedPluginDoesItsWork", "TestSandboxHoldsAfterRestart", "TestUnconfinedPluginIsSaidToBe"}
	cmd := exec.Command(program, "-test.count=1", "-test.v", "-test.run=^("+strings.Join(tests, "|")+")$")
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	for _, name := range tests {
		if !strings.Contains(string(out), "--- PASS: "+name+" ") {
			t.Errorf("%s has not passed", name)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	syscall.ForkLock.RLock() // a process that is started meanwhile would hold the file open for writing
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// withoutLandlock makes the kernel answer all threads of this process as one without Landlock does, with ENOSYS, or one that
// has it switched off, with EOPNOTSUPP.
func withoutLandlock(answer syscall.Errno) error {
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4}, // the number of the system call
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: unix.SYS_LANDLOCK_CREATE_RULESET, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: unix.SYS_LANDLOCK_RESTRICT_SELF, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(answer)},
		bpf.RetConstant{Val: 0x7fff0000}, // allow
	})
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}

// TestKernelWithoutLandlock runs itself as a process whose kernel has no Landlock. If the operator requires the sandbox no
// plug-in is started, and the error says why; if not, the plug-in runs, and its status and the log say that it is not
// confined.
func TestKernelWithoutLandlock(t *testing.T) {
	const variable = "KERNEL_WITHOUT_LANDLOCK"
	kernels := map[string]struct {
		answer syscall.Errno
		says   string
	}{
		"none": {syscall.ENOSYS, "the kernel has no Landlock"},
		"off":  {syscall.EOPNOTSUPP, "the kernel has Landlock switched off (lsm=)"},
	}
	kernel, child := os.LookupEnv(variable)
	if !child {
		for name := range kernels {
			cmd := exec.Command(self(), "-test.run=^TestKernelWithoutLandlock$", "-test.v", "-test.count=1")
			cmd.Env = append(os.Environ(), variable+"="+name)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
		return
	}
	says := kernels[kernel].says
	if err := withoutLandlock(kernels[kernel].answer); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "h")
	h, err := stubhost.New(stubhost.Options{Dir: dir, Sandbox: sandbox.Required,
		Message: func(context.Context, message.URL, message.Message) error { return nil },
		Frames:  func(context.Context, message.URL, message.URL, []sdk.Frame) bool { return true }})
	if err == nil {
		_ = h.Close(t.Context())
		t.Fatal("a host that requires the sandbox has started")
	}
	var why *sandbox.UnavailableError
	if want := fmt.Sprintf("plug-ins cannot be confined here: %s, and the configuration requires it", says); !errors.As(err, &why) || why.Why != says || !strings.Contains(err.Error(), want) {
		t.Errorf("required: %v, want %q", err, want)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was begun: %v", err)
	}
	var lines counter
	c := newCore(t, func(o *stubhost.Options) { o.Dir, o.Log = dir, lines.logger() })
	c.deploy("echo", stubURL("a"))
	if s := c.host.Plugins()[0].Sandbox; s != "off: "+says || !lines.contains("plug-ins are not confined") || !lines.contains(says) {
		t.Errorf("sandbox: %q", s)
	}
	// If Landlock was available before and is not any more, Confine fails: nothing runs unconfined.
	if err := sandbox.Confine(sandbox.Policy{Dir: dir, Program: self()}); !errors.As(err, &why) {
		t.Errorf("confined: %v", err)
	}
}

// A process may start its own program again, also if another plug-in with the same executable was started meanwhile.
func TestSharedExecutable(t *testing.T) {
	confined(t)
	at, dir := target(t)
	c := newCore(t, func(o *stubhost.Options) { impatient(o); o.Dir = dir })
	at.Socket = c.serveOthers()
	c.deploy("echo", stubURL("spy"))
	c.deploy("stubborn", stubURL("other"))
	for _, failed := range c.list("spy", "attack", at) {
		t.Errorf("%s", failed)
	}
}
