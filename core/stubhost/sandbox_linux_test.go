package stubhost_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/peercred"
	"github.com/protofly/protofly/sdk"
)

// confined skips the test if the kernel cannot confine processes.
func confined(t *testing.T) {
	t.Helper()
	if _, err := sandbox.Available(); err != nil {
		t.Skip(err)
	}
}

// target makes the files and processes that a hostile plug-in attacks.
func target(t *testing.T) (t1 targets, hostDir string) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	abstract := "@protofly-test-" + strconv.Itoa(os.Getpid()) + t.Name() // other runs of the tests may go on at the same time
	l, err := net.Listen("unix", abstract)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return targets{Key: key, Others: filepath.Join(dir, "h", "s"), Outside: dir, Runtime: os.Getpid(), Abstract: abstract}, filepath.Join(dir, "h")
}

// serveOthers serves a runtime's API, and answers every process that is not a plug-in.
func (c *core) serveOthers() (socket string) {
	socket = filepath.Join(c.t.TempDir(), "api")
	l, err := net.Listen("unix", socket)
	if err != nil {
		c.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if pid, err := peercred.PID(conn); err == nil && !c.host.Owns(pid) {
				_, _ = conn.Write([]byte("x"))
			}
			_ = conn.Close()
		}
	})
	c.t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	conn, err := net.Dial("unix", socket)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		c.t.Errorf("an application is refused: %v", err)
	}
	return socket
}

func (c *core) list(stub string, method string, t targets) (list []string) {
	c.t.Helper()
	for _, task := range must(filepath.Glob("/proc/self/task/*")) {
		t.Threads = append(t.Threads, must(strconv.Atoi(filepath.Base(task))))
	}
	if err := json.Unmarshal(c.tell(stubURL(stub), map[string]any{"method": method, "value": string(must(json.Marshal(t)))}), &list); err != nil {
		c.t.Fatal(err)
	}
	return list
}

func TestPluginReachesNothingThatIsNotItsOwn(t *testing.T) {
	confined(t)
	at, dir := target(t)
	at.Quota = stubhost.DefaultQuota
	c := newCore(t, func(o *stubhost.Options) { o.Dir = dir })
	at.Socket = c.serveOthers()
	c.deploy("echo", stubURL("spy"))
	for _, could := range c.list("spy", "attack", at) {
		t.Errorf("a plug-in could %s", could)
	}
	if s := c.host.Plugins()[0].Sandbox; !strings.HasPrefix(s, "landlock ") {
		t.Errorf("sandbox: %q", s)
	}
}

func TestUnconfinedPluginIsSaidToBe(t *testing.T) {
	at, dir := target(t)
	var lines counter
	c := newCore(t, func(o *stubhost.Options) { o.Dir, o.Sandbox, o.Log = dir, sandbox.Off, lines.logger() })
	c.deploy("echo", stubURL("spy"))
	if could := c.list("spy", "attack", at); !slices.Contains(could, "read the key") {
		t.Errorf("the attacks are none: %q", could)
	}
	if s := c.host.Plugins()[0].Sandbox; s != "off: it is switched off" || !lines.contains("plug-ins are not confined") {
		t.Errorf("sandbox: %q", s)
	}
}

func TestConfinedPluginDoesItsWork(t *testing.T) {
	confined(t)
	at, dir := target(t)
	at.Named = at.Key
	c := newCore(t, func(o *stubhost.Options) { o.Dir = dir })
	p := installed("echo")
	p.Paths = at.Named + string(filepath.ListSeparator) + "/nowhere/at/all"
	a := stubURL("honest")
	if err := c.host.Deploy(t.Context(), p, stubhost.Instance{URL: a, Runtime: runtimeURL, Role: sdk.RoleNode}); err != nil {
		t.Fatal(err)
	}
	c.until("it to have started", func() bool { return c.started(a) == 1 })
	for _, failed := range c.list("honest", "needs", at) {
		t.Errorf("a plug-in could not %s", failed)
	}
}

// The host knows the processes of its plug-ins, and those that these have started.
func TestHostKnowsItsOwn(t *testing.T) {
	c := newCore(t, nil)
	a := stubURL("a")
	c.deploy("echo", a)
	pid, _ := c.pid(a)
	var child int
	if err := json.Unmarshal(c.tell(a, map[string]any{"method": "child"}), &child); err != nil {
		t.Fatal(err)
	}
	var orphan int
	if err := json.Unmarshal(c.tell(a, map[string]any{"method": "orphan"}), &orphan); err != nil {
		t.Fatal(err)
	}
	untilItSleeps(t, orphan)
	for _, p := range []int{pid, child, orphan, 1 << 22} {
		if !c.host.Owns(p) {
			t.Errorf("process %d is taken for somebody else's", p)
		}
	}
	for _, p := range []int{os.Getpid(), os.Getppid(), 1, 0} {
		if c.host.Owns(p) {
			t.Errorf("process %d is taken for a plug-in's", p)
		}
	}
}
