package stubhost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// separable skips the test if plug-ins cannot have users of their own.
func separable(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := sandbox.MayBecome(sandbox.FirstUID, dir); err != nil {
		t.Skip(err)
	}
}

// separated requires that the plug-ins of a host have users of their own, whatever they lose by it.
func separated(o *stubhost.Options) { o.Users = sandbox.Users{Mode: sandbox.Required} }

// usual sets the defaults for the users of plug-ins.
func usual(o *stubhost.Options) { o.Users = sandbox.Users{} }

// reachable lets every user enter a folder of a test: files in it are protected by their own modes only.
func reachable(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// user is the user ID of a plug-in, and the status's text about it.
func (c *core) user(name string) (id int, text string) {
	c.t.Helper()
	for _, p := range c.host.Plugins() {
		if p.Name == name {
			number, _, _ := strings.Cut(p.User, ",")
			id, err := strconv.Atoi(number)
			if err != nil || id < sandbox.FirstUID || id >= sandbox.FirstUID+sandbox.UIDs {
				c.t.Fatalf("%s runs as %q", name, p.User)
			}
			return id, p.User
		}
	}
	c.t.Fatalf("no plug-in %s", name)
	return 0, ""
}

// home is the folder of a plug-in's process.
func (c *core) home(stub string) string {
	c.t.Helper()
	var env []string
	if err := json.Unmarshal(c.tell(stubURL(stub), map[string]any{"method": "env"}), &env); err != nil {
		c.t.Fatal(err)
	}
	for _, entry := range env {
		if dir, ok := strings.CutPrefix(entry, "HOME="); ok {
			return dir
		}
	}
	c.t.Fatal("it has no folder")
	return ""
}

// unsandboxed is what a plug-in can do that has a user of its own and no sandbox.
var unsandboxed = []string{"read cmdline of the runtime", "list the processes", "write to /tmp", "connect to an abstract socket",
	"start a process in a user namespace", "make a namespace"}

// Without the sandbox a plug-in's user protects the files of the runtime, and those of other plug-ins.
func TestPluginsHaveUsersOfTheirOwn(t *testing.T) {
	separable(t)
	at, dir := target(t)
	reachable(t, at.Outside)
	at.Quota = stubhost.DefaultQuota
	c := newCore(t, func(o *stubhost.Options) { separated(o); o.Dir, o.Sandbox = dir, sandbox.Off })
	at.Socket = c.serveOthers()
	for _, name := range []string{"spy", "other"} {
		c.deploy(name, stubURL(name))
		pid, _ := c.pid(stubURL(name))
		id, _ := c.user(name)
		status := string(must(os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))))
		for _, line := range []string{fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", id), fmt.Sprintf("Gid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", id), "Groups:\t \n", "NoNewPrivs:\t1\n"} {
			if !strings.Contains(status, line) {
				t.Errorf("%s: no %q in\n%s", name, line, status)
			}
		}
	}
	spy, _ := c.user("spy")
	if other, _ := c.user("other"); spy == other {
		t.Errorf("both run as %d", spy)
	}
	secret := filepath.Join(c.home("other"), "secret")
	if err := os.WriteFile(secret, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	at.Others = filepath.Dir(filepath.Dir(secret))
	of := at
	of.Key = secret
	for _, at := range []targets{at, of} {
		for _, could := range c.list("spy", "attack", at) {
			if base, _, _ := strings.Cut(could, ","); at.Key == secret && base == "list the folder of the key" || !slices.Contains(append(unsandboxed, "list the folder of the key"), base) {
				t.Errorf("a plug-in without a sandbox could %s, of %s", could, at.Key)
			}
		}
	}
	for _, failed := range c.list("spy", "needs", targets{}) {
		t.Errorf("a plug-in could not %s", failed)
	}
	if _, err := c.host.Reload(t.Context(), upgrade(t, "spy"), stubhost.ReloadOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, failed := range c.list("spy", "needs", targets{}) {
		t.Errorf("after a reload a plug-in could not %s", failed)
	}
	if now, _ := c.user("spy"); now != spy {
		t.Errorf("after a reload it runs as %d, not as %d", now, spy)
	}
}

// The other tests also pass with plug-ins that have users of their own.
func TestUsersChangeNothingElse(t *testing.T) {
	separable(t)
	tests := []string{"TestCloseKeepsItsTime", "TestDaemonIsNoPlugin", "TestHostKilledLeavesNoOrphans", "TestHostKnowsItsOwn", "TestNextHostEndsWhatIsLeft", "TestOrphansEndWithTheirPlugin",
		"TestReaperEndsWhatHides"}
	if _, err := sandbox.Available(); err == nil {
		tests = append(tests, "TestPluginReachesNothingThatIsNotItsOwn", "TestSandboxHoldsAfterRestart", "TestSharedExecutable")
	}
	cmd := exec.Command(self(), "-test.count=1", "-test.v", "-test.run=^(TestReaper|"+strings.Join(tests, "|")+")$")
	dir := must(os.MkdirTemp("/tmp", "u")) // killed hosts leave their folders behind
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), separately+"=1", "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Error(err)
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

// If plug-ins cannot have users of their own they run all the same, and status and log say why; unless they must have them.
func TestNoUsersOfTheirOwn(t *testing.T) {
	for name, c := range map[string]struct {
		mode     os.FileMode
		users    sandbox.Users
		confined sandbox.Mode
		says     string
	}{
		"off":         {0o755, sandbox.Users{Mode: sandbox.Off}, sandbox.Auto, "plugins.uids is off"},
		"unreachable": {0o700, sandbox.Users{}, sandbox.Auto, "other users do not reach"},
		"unconfined":  {0o755, sandbox.Users{}, sandbox.Off, "plugins.sandbox is off; with plugins.uids: on"},
		"required":    {0o700, sandbox.Users{Mode: sandbox.Required}, sandbox.Auto, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := must(os.MkdirTemp("/tmp", "u")) // short, for sockets
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			t.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
			if err := os.Mkdir(filepath.Join(dir, "tmp"), c.mode); err != nil {
				t.Fatal(err)
			}
			var lines counter
			options := stubhost.Options{Dir: filepath.Join(dir, "h"), Users: c.users, Sandbox: c.confined}
			if c.users.Mode == sandbox.Required {
				options.Message = func(context.Context, message.URL, message.Message) error { return nil }
				options.Frames = func(context.Context, message.URL, message.URL, []sdk.Frame) bool { return true }
				if _, err := stubhost.New(options); err == nil || !strings.Contains(err.Error(), "requires it (plugins.uids)") {
					t.Errorf("the host starts: %v", err)
				}
				if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
				return
			}
			core := newCore(t, func(o *stubhost.Options) {
				o.Dir, o.Users, o.Sandbox, o.Log = options.Dir, options.Users, options.Sandbox, lines.logger()
			})
			core.deploy("echo", stubURL("a"))
			user := core.host.Plugins()[0].User
			if id := os.Geteuid(); id != 0 {
				if user != fmt.Sprint(id) {
					t.Errorf("status: %q", user)
				}
				return
			}
			if !strings.HasPrefix(user, "root: "+c.says) || !lines.contains("plug-ins run as root") {
				t.Errorf("status: %q", user)
			}
		})
	}
}
