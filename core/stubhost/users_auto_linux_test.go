package stubhost_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/sdk"
)

// uid is the real user ID of a stub's process.
func (c *core) uid(stub string) int {
	c.t.Helper()
	pid, _ := c.pid(stubURL(stub))
	for line := range strings.Lines(string(must(os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))))) {
		if fields := strings.Fields(line); len(fields) == 5 && fields[0] == "Uid:" {
			return must(strconv.Atoi(fields[2]))
		}
	}
	c.t.Fatal("the process has no user")
	return 0
}

// shown is the text of the status about a plug-in's user.
func (c *core) shown(plugin string) string {
	for _, p := range c.host.Plugins() {
		if p.Name == plugin {
			return p.User
		}
	}
	return "no such plug-in"
}

// deployReading deploys a plug-in that may read some paths.
func (c *core) deployReading(plugin, stub string, paths ...string) error {
	c.t.Helper()
	p := installed(plugin)
	p.Paths = strings.Join(paths, string(filepath.ListSeparator))
	err := c.host.Deploy(c.t.Context(), p, stubhost.Instance{URL: stubURL(stub), Runtime: runtimeURL, Role: sdk.RoleNode})
	if err == nil {
		c.until("it to have started", func() bool { return c.started(stubURL(stub)) > 0 })
	}
	return err
}

// openFolder is a folder that every user can enter.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := must(os.MkdirTemp("/tmp", "u"))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Without any configuration a plug-in that loses no file runs under a user of its own.
func TestWhoLosesNothingHasAUser(t *testing.T) {
	separable(t)
	dir := openFolder(t)
	named, owned := filepath.Join(dir, "named"), filepath.Join(dir, "of-somebody-else")
	for path, mode := range map[string]os.FileMode{named: 0o644, owned: 0o600} {
		if err := os.WriteFile(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(owned, 12345, 0); err != nil {
		t.Fatal(err)
	}
	c := newCore(t, usual)
	if err := c.deployReading("echo", "a", named, dir+"/nowhere"); err != nil {
		t.Fatal(err)
	}
	if uid := c.uid("a"); uid < sandbox.FirstUID || c.shown("echo") != fmt.Sprint(uid) {
		t.Errorf("it runs as %d, and the status says %q", uid, c.shown("echo"))
	}
	for _, failed := range c.list("a", "needs", targets{Named: named, Ports: true}) {
		t.Errorf("it could not %s", failed)
	}
	if _, err := sandbox.Available(); err != nil {
		return // in such a container root could read files of other users
	}
	if err := c.deployReading("other", "b", owned); err != nil {
		t.Fatal(err)
	}
	if uid := c.uid("b"); uid < sandbox.FirstUID || !strings.HasPrefix(c.shown("other"), fmt.Sprintf("%d, as root could not either: user %[1]d cannot read %s", uid, owned)) {
		t.Errorf("it runs as %d, and the status says %q", uid, c.shown("other"))
	}
}

// A plug-in that would lose a file that its configuration names runs as before, and the status says which file that is and
// what to do. When that is done and it is reloaded, it has a user of its own.
func TestWhoWouldLoseAFileRunsAsBefore(t *testing.T) {
	separable(t)
	for name, f := range map[string]struct {
		files map[string]os.FileMode // by path; folders end in a slash
		named string
		says  string // % stands for the user
	}{
		"a file":           {map[string]os.FileMode{"token": 0o600}, "token", "user % cannot read DIR/token: chgrp % DIR/token && chmod g+r DIR/token"},
		"a closed folder":  {map[string]os.FileMode{"certs/": 0o700}, "certs", "user % cannot list DIR/certs: chgrp % DIR/certs && chmod g+rx DIR/certs"},
		"a folder's file":  {map[string]os.FileMode{"certs/": 0o755, "certs/sub/": 0o755, "certs/sub/key": 0o600}, "certs", "user % cannot read DIR/certs/sub/key: chgrp % DIR/certs/sub/key && chmod g+r DIR/certs/sub/key"},
		"behind a folder":  {map[string]os.FileMode{"of/": 0o700, "of/token": 0o644}, "of/token", "user % cannot read DIR/of/token: others may not enter DIR/of (chmod o+x DIR/of, or keep it elsewhere)"},
		"behind a link":    {map[string]os.FileMode{"of/": 0o700, "of/token": 0o644, "link@of/token": 0}, "link", "user % cannot read DIR/link: others may not enter DIR/of (chmod o+x DIR/of, or keep it elsewhere)"},
		"a group's file":   {map[string]os.FileMode{"token:12345": 0o640}, "token", "user % cannot read DIR/token: setfacl -m u:%:r DIR/token"},
		"several of those": {map[string]os.FileMode{"x/": 0o755, "x/a": 0o600, "x/b": 0o600}, "x", "; the same for DIR/x/"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := openFolder(t)
			make0(t, dir, f.files)
			var lines counter
			c := newCore(t, func(o *stubhost.Options) { usual(o); o.Log = lines.logger() })
			if err := c.deployReading("echo", "a", filepath.Join(dir, f.named)); err != nil {
				t.Fatal(err)
			}
			says := c.shown("echo")
			if uid := c.uid("a"); uid != 0 || !strings.HasPrefix(says, "root: user ") {
				t.Fatalf("it runs as %d, and the status says %q", uid, says)
			}
			id := strings.Fields(says)[2]
			if want := strings.NewReplacer("%", id, "DIR", dir).Replace(f.says); !strings.Contains(says, want) || !strings.HasSuffix(says, "; then: protofly plugins reload echo") {
				t.Errorf("the status says\n%q, not\n%q", says, want)
			}
			c.crashAndReturn("a")
			if n := lines.count("the plug-in's user"); n != 1 || c.host.Plugins()[0].Restarts != 1 {
				t.Errorf("the log says it %d times", n)
			}
			if name == "a group's file" || name == "several of those" {
				return
			}
			advice := says[strings.Index(says, "ch"):]
			advice = strings.Split(strings.Split(advice, ",")[0], ";")[0]
			if out, err := exec.Command("/bin/sh", "-c", advice).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v, %s", advice, err, out)
			}
			p := installed("echo")
			p.Paths = filepath.Join(dir, f.named)
			if _, err := c.host.Reload(t.Context(), p, stubhost.ReloadOptions{}); err != nil {
				t.Fatal(err)
			}
			if uid := c.uid("a"); fmt.Sprint(uid) != id || c.shown("echo") != id {
				t.Errorf("after %q it runs as %d, and the status says %q", advice, uid, c.shown("echo"))
			}
		})
	}
}

// make0 makes files that belong to root.
func make0(t *testing.T, dir string, files map[string]os.FileMode) {
	t.Helper()
	for range 3 { // so that folders are made before the files in them
		for name, mode := range files {
			path, group, _ := strings.Cut(name, ":")
			path, target, link := strings.Cut(path, "@")
			path = filepath.Join(dir, path)
			var err error
			switch {
			case link:
				err = os.Symlink(filepath.Join(dir, target), path)
			case strings.HasSuffix(name, "/"):
				err = errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode))
			default:
				err = errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, mode))
			}
			if group != "" && err == nil {
				err = os.Chown(path, 0, must(strconv.Atoi(group)))
			}
			if err != nil && !errors.Is(err, os.ErrExist) && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

// crashAndReturn crashes the stub's process, and waits for the next one.
func (c *core) crashAndReturn(stub string) {
	c.t.Helper()
	c.mu.Lock()
	before := c.started(stubURL(stub))
	c.mu.Unlock()
	c.order(stubURL(stub), "exit")
	c.until("it to be started again", func() bool { return c.started(stubURL(stub)) > before })
}

// Without a sandbox a plug-in can read whatever its configuration names, so that is checked too.
func TestWhoWouldLoseAFileWithoutASandbox(t *testing.T) {
	separable(t)
	dir := openFolder(t)
	make0(t, dir, map[string]os.FileMode{"certs/": 0o700})
	c := newCore(t, func(o *stubhost.Options) { o.Users, o.Sandbox = sandbox.Users{First: sandbox.FirstUID}, sandbox.Off })
	for name, uid := range map[string]int{"echo": 0, "other": sandbox.FirstUID} {
		p := installed(name)
		if uid == 0 {
			p.Named = filepath.Join(dir, "certs")
		}
		c.deployAs(p, stubURL(name), sdk.RoleNode, "{}")
		if got := c.uid(name); got < uid || uid == 0 && got != 0 {
			t.Errorf("%s runs as %d: %s", name, got, c.shown(name))
		}
	}
}

// If users are required, a plug-in that would lose a file is refused, with an error that says what to do.
func TestWhoWouldLoseAFileIsRefusedWhereItMustNot(t *testing.T) {
	separable(t)
	dir := openFolder(t)
	make0(t, dir, map[string]os.FileMode{"token": 0o600})
	c := newCore(t, separated)
	err := c.deployReading("echo", "a", filepath.Join(dir, "token"))
	refused := new(stubhost.StartError)
	if !errors.As(err, &refused) || refused.Reason != stubhost.Unseparated || !strings.Contains(refused.Detail, dir+"/token && chmod g+r ") ||
		!strings.Contains(refused.Detail, "plugins.uids: auto") {
		t.Errorf("%v", err)
	}
	if err := c.deployReading("other", "b"); err != nil || c.uid("b") < sandbox.FirstUID {
		t.Errorf("another one: %v", err)
	}
}

// A program in a folder that others cannot enter runs all the same: under a user of its own, unless its interpreter is in
// such a folder.
func TestProgramsThatOthersDoNotReach(t *testing.T) {
	separable(t)
	dir := openFolder(t)
	closed := filepath.Join(dir, "closed")
	make0(t, dir, map[string]os.FileMode{"closed/": 0o700, "closed/bin/": 0o755})
	program := filepath.Join(closed, "program")
	if out, err := exec.Command("cp", self(), program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Link(program, filepath.Join(closed, "bin", "interpreter")); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(closed, "script")
	if err := os.WriteFile(script, []byte("#!"+filepath.Join(closed, "bin", "interpreter")+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := newCore(t, usual)
	for path, uid := range map[string]int{program: sandbox.FirstUID, script: 0} {
		name := filepath.Base(path)
		c.deployAs(stubhost.Plugin{Name: name, Path: path, SHA256: fileSum(t, path)}, stubURL(name), sdk.RoleNode, "{}")
		if got := c.uid(name); got < uid || uid == 0 && got != 0 {
			t.Errorf("%s runs as %d", name, got)
		}
	}
	if says := c.shown("script"); !strings.Contains(says, "cannot run "+closed+"/bin/interpreter: others may not enter "+closed) {
		t.Errorf("the status says %q", says)
	}
}

// If the system refuses to start a process under its user, which nothing shows before, it is started as before.
func TestSystemRefusesAUser(t *testing.T) {
	separable(t)
	c := newCore(t, usual)
	c.host.Impossible("echo")
	if err := c.deployReading("echo", "a"); err != nil {
		t.Fatal(err)
	}
	if uid := c.uid("a"); uid != 0 || !strings.HasPrefix(c.shown("echo"), "root: it does not start as user 4294967295: ") {
		t.Errorf("it runs as %d, and the status says %q", uid, c.shown("echo"))
	}
	strict := newCore(t, separated)
	strict.host.Impossible("echo")
	if err := strict.deployReading("echo", "a"); err == nil {
		t.Error("it starts as root where it must not")
	}
}

// A host works in the folder of a killed one, whose plug-ins ran as root, or under users of their own.
func TestHostsWithAndWithoutUsers(t *testing.T) {
	separable(t)
	dir := filepath.Join(t.TempDir(), "h")
	for i, users := range []string{"", "1", ""} {
		before := exec.Command(self(), beHostFlag, dir)
		before.Env, before.Stderr = append(os.Environ(), separately+"="+users), os.Stderr
		out := must(before.StdoutPipe())
		if err := before.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range hostsPlugins { // those that run
			lines.Scan()
		}
		pid := must(strconv.Atoi(strings.TrimSpace(lines.Text())))
		_ = before.Process.Kill()
		_ = before.Wait()
		untilDead(t, pid)
		elsewhere, _ := os.ReadFile(filepath.Join(dir, "sockets"))
		if len(elsewhere) == 0 && users != "" {
			t.Error("its plug-ins have had no users")
		}
		for _, program := range must(filepath.Glob(filepath.Join(dir, "bin", "*"))) { // with the mode that an earlier version set
			if err := os.Chmod(program, 0o500); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := newCore(t, func(o *stubhost.Options) {
				o.Dir, o.Users = dir, sandbox.Users{}
				if i == 1 {
					o.Users.Mode = sandbox.Off
				}
			})
			c.deploy("echo", stubURL("a"))
			if uid := c.uid("a"); uid == 0 != (i == 1) {
				t.Errorf("it runs as %d", uid)
			}
			for _, failed := range c.list("a", "needs", targets{}) {
				t.Errorf("it could not %s", failed)
			}
		})
		left, _ := filepath.Glob(filepath.Join(dir, "s*"))
		if _, err := os.Stat(string(elsewhere)); err == nil {
			left = append(left, string(elsewhere))
		}
		if len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// inNamespace is the environment variable that tells a test that it is in a user namespace.
const inNamespace = "IN_A_USER_NAMESPACE"

// Root of a user namespace without other IDs, as of a container of a user who is not root, runs plug-ins as before.
func TestNamespaceWithoutTheIDs(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		c := newCore(t, usual)
		if err := c.deployReading("echo", "a"); err != nil {
			t.Fatal(err)
		}
		if says := c.shown("echo"); !strings.HasPrefix(says, "root: there is no user ID ") {
			t.Errorf("the status says %q", says)
		}
		return
	}
	cmd := exec.Command(self(), "-test.run=^TestNamespaceWithoutTheIDs$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	only := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: only(os.Geteuid()), GidMappings: only(os.Getegid())}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC) {
		t.Skip("this system makes no user namespaces: ", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestNamespaceWithoutTheIDs") {
		t.Errorf("%v\n%s", err, out)
	}
}
