//go:build unix

package stubhost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	peerX = "hyperty-runtime://example.com/x"
	peerY = "hyperty-runtime://example.com/y"
)

// upgrade is the plug-in of that name with another executable that does the same.
func upgrade(t testing.TB, name string) stubhost.Plugin {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new")
	in, err := os.Open(self())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err == nil {
		_, err = out.WriteString("what follows the program is nobody's")
	}
	if err = errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return stubhost.Plugin{Name: name, Path: path, SHA256: fileSum(t, path)}
}

func (c *core) deployAs(plugin stubhost.Plugin, url message.URL, role sdk.Role, config string) {
	c.t.Helper()
	in := stubhost.Instance{URL: url, Runtime: runtimeURL, Role: role, Domain: "example.com", Config: json.RawMessage(config)}
	if role == sdk.RoleRequester {
		in.Remote, in.Handler = peerX, peerX+"/p2phandler/echo"
	}
	c.mu.Lock()
	before := c.started(url)
	c.mu.Unlock()
	if err := c.host.Deploy(c.t.Context(), plugin, in); err != nil {
		c.t.Fatal(err)
	}
	c.until("the stub to be created", func() bool { return c.started(url) > before })
}

// says makes the run of a Handler that has the peer post a status of it.
func (c *core) says(stub message.URL, peer, value string) {
	c.t.Helper()
	c.tell(stub, map[string]any{"method": "status", "resource": peer, "value": value, "params": []string{peer}})
}

// reload starts a reload and returns when the stubs have moved; its result comes later.
func (c *core) reload(p stubhost.Plugin) (moved []message.URL, outcome chan stubhost.Reloaded) {
	c.t.Helper()
	handed := make(chan []message.URL, 1)
	outcome = make(chan stubhost.Reloaded, 1)
	failed := make(chan error, 1)
	go func() {
		r, err := c.host.Reload(context.WithoutCancel(c.t.Context()), p, stubhost.ReloadOptions{Moved: func(s []message.URL) { handed <- s }})
		if err != nil {
			failed <- err
		}
		outcome <- r
	}()
	select {
	case moved = <-handed:
	case err := <-failed:
		c.t.Fatal(err)
	}
	return moved, outcome
}

// The stubs with a fixed address are in the new process at once; the connections of the old process go on until they are
// closed; then the old process ends.
func TestReload(t *testing.T) {
	c := newCore(t, quick)
	handler, node, requester := stubURL("h"), stubURL("n"), stubURL("r")
	c.deployAs(installed("echo"), handler, sdk.RoleHandler, "")
	c.deployAs(installed("echo"), node, sdk.RoleNode, `{"connects":true}`)
	c.deployAs(installed("echo"), requester, sdk.RoleRequester, "")
	old, _ := c.pid(handler)
	door := handler.Join("x")
	c.says(handler, peerX, "live")
	c.says(handler, peerY, "live")
	c.tell(handler, map[string]any{"method": "open", "door": door, "value": "echo"})
	moved, outcome := c.reload(upgrade(t, "echo"))
	if !slices.Equal(moved, []message.URL{handler, node}) {
		t.Errorf("moved: %v", moved)
	}
	for url, moves := range map[message.URL]bool{handler: true, node: true, requester: false} {
		if pid, restarted := c.pid(url); (pid != old) != moves || restarted {
			t.Errorf("%s runs in process %d, the old one is %d; restarted %t", url, pid, old, restarted)
		}
	}
	if err := c.host.Send(t.Context(), handler, door, sdk.Frame{Payload: []byte("by the old door")}); err != nil {
		t.Error(err)
	}
	c.until("a frame by the door of the old process", func() bool { return len(c.frames[door]) == 1 })
	again := stubURL("r2")
	c.deployAs(installed("echo"), again, sdk.RoleRequester, "")
	if pid, _ := c.pid(again); pid == old {
		t.Error("a new instance was started in the old process")
	}
	// Peer Y has a connection in the new process before the old one is closed: the end of the old one is not reported.
	c.tell(handler, map[string]any{"method": "status", "resource": peerY, "value": "live"})
	c.tell(handler, map[string]any{"method": "status", "resource": peerY, "value": "disconnected", "params": []string{peerX}})
	c.says(handler, peerX, "disconnected")
	if err := c.host.Undeploy(t.Context(), requester); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-outcome:
		if !r.Running || r.OldPID != old || r.NewPID == old || r.Cut != 0 || r.NewVersion != "1.2.3" {
			t.Errorf("%+v", r)
		}
	case <-outlast(t):
	}
	if alive(old) {
		t.Error("the old process is left")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	want := []string{"created", "live " + peerX, "live " + peerY, "created", "live " + peerY, "disconnected " + peerX}
	if got := c.statuses(handler); !slices.Equal(got, want) {
		t.Errorf("statuses of the Handler: %q", got)
	}
	if got := c.statuses(node); slices.Contains(got, "disconnected") {
		t.Errorf("statuses of the Message Node's stub: %q", got)
	}
	if s := c.host.Plugins()[0]; s.Restarts != 0 || s.LastError != "" {
		t.Errorf("a reload counts as a crash: %+v", s)
	}
}

func outlast(t testing.TB) <-chan struct{} {
	late := make(chan struct{})
	timer := time.AfterFunc(time.Minute, func() {
		t.Error("the reload does not end")
		close(late)
	})
	t.Cleanup(func() { timer.Stop() })
	return late
}

// A process that cannot replace the old one leaves it undisturbed.
func TestReloadThatFailsLeavesTheOldProcess(t *testing.T) {
	t.Parallel()
	changed := upgrade(t, "echo")
	changed.SHA256 = checksum()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho it is broken >&2\nexit 7\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := listener.Addr().String()
	_ = listener.Close()
	for _, bad := range []struct {
		name   string
		plugin stubhost.Plugin
		reason stubhost.Reason
		says   string
	}{
		{"wrong checksum", changed, stubhost.Checksum, "not the file that was installed"},
		{"missing", stubhost.Plugin{Name: "echo", Path: "/nowhere/echo", SHA256: strings.Repeat("ab", 32)}, stubhost.Missing, "install it again"},
		{"exits", stubhost.Plugin{Name: "echo", Path: script, SHA256: fileSum(t, script)}, stubhost.Exited, "it is broken"},
		{"its stub does not start", upgrade(t, "exclusive"), "", "address already in use"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			c := newCore(t, quick)
			a, name := stubURL("a"), bad.plugin.Name
			c.deployAs(installed(name), a, sdk.RoleHandler, fmt.Sprintf(`{"listen":%q}`, free))
			old, _ := c.pid(a)
			_, err := c.host.Reload(t.Context(), bad.plugin, stubhost.ReloadOptions{Moved: func([]message.URL) { t.Error("something was moved") }})
			var start *stubhost.StartError
			if errors.As(err, &start) != (bad.reason != "") || start != nil && start.Reason != bad.reason {
				t.Errorf("got %v, want %s", err, bad.reason)
			}
			if err == nil || !strings.Contains(err.Error(), bad.says) || !strings.Contains(err.Error(), "goes on") {
				t.Fatalf("got %v", err)
			}
			t.Log(err)
			if pid, restarted := c.pid(a); pid != old || restarted {
				t.Errorf("process %d after %d, restarted %t", pid, old, restarted)
			}
			if s := c.host.Plugins()[0]; s.PID != old || s.Restarts != 0 {
				t.Errorf("%+v", s)
			}
			c.mu.Lock()
			if got := c.statuses(a); !slices.Equal(got, []string{"created"}) {
				t.Errorf("statuses %q", got)
			}
			c.mu.Unlock()
			if bad.reason != "" {
				return
			}
			r, err := c.host.Reload(t.Context(), bad.plugin, stubhost.ReloadOptions{Break: true})
			if err != nil || r.Cut != 1 || alive(old) {
				t.Fatalf("with the old process ended first: %+v, %v", r, err)
			}
			c.until("the stub to be started again", func() bool { return c.started(a) == 2 })
			if pid, restarted := c.pid(a); pid != r.NewPID || !restarted {
				t.Errorf("process %d, want %d; restarted %t", pid, r.NewPID, restarted)
			}
		})
	}
}

// Stubs that do not leave the old process in time are started again in the new one, as after a crash.
func TestReloadCutsWhatDoesNotMove(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"time is over", "kill -9"} {
		t.Run(how, func(t *testing.T) {
			c := newCore(t, func(o *stubhost.Options) {
				quick(o)
				if o.Drain = time.Minute; how == "time is over" {
					o.Drain = 200 * time.Millisecond
				}
			})
			handler, requester := stubURL("h"), stubURL("r")
			c.deployAs(installed("echo"), handler, sdk.RoleHandler, "")
			c.deployAs(installed("echo"), requester, sdk.RoleRequester, "")
			old, _ := c.pid(handler)
			c.says(handler, peerY, "live")
			c.tell(requester, map[string]any{"method": "status", "resource": peerX, "value": "live"})
			_, outcome := c.reload(upgrade(t, "echo"))
			if how != "time is over" {
				if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			var r stubhost.Reloaded
			select {
			case r = <-outcome:
			case <-outlast(t):
			}
			c.until("the Requester to be started again", func() bool { return c.started(requester) == 2 })
			if pid, restarted := c.pid(requester); pid != r.NewPID || !restarted || how == "time is over" && r.Cut != 2 {
				t.Errorf("process %d, restarted %t, %+v", pid, restarted, r)
			}
			c.until("the ends to be told", func() bool {
				return slices.Contains(c.statuses(handler), "disconnected "+peerY) && slices.Contains(c.statuses(requester), "disconnected "+peerX)
			})
			if alive(old) {
				t.Error("the old process is left")
			}
		})
	}
}

func TestReloadOfWhatDoesNotRun(t *testing.T) {
	c := newCore(t, quick)
	p := upgrade(t, "echo")
	r, err := c.host.Reload(t.Context(), p, stubhost.ReloadOptions{})
	if err != nil || r.Running {
		t.Errorf("%+v, %v", r, err)
	}
	a := stubURL("a")
	c.deploy("echo", a)
	old, _ := c.pid(a)
	if err := c.host.Undeploy(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if r, err = c.host.Reload(t.Context(), p, stubhost.ReloadOptions{}); err != nil || r.Running && alive(old) {
		t.Errorf("%+v, %v", r, err)
	}
	c.deployAs(p, a, sdk.RoleNode, "")
	if pid, _ := c.pid(a); pid == old {
		t.Error("the old process is used once more")
	}
	p.SHA256 = checksum()
	if _, err := c.host.Reload(t.Context(), p, stubhost.ReloadOptions{}); err == nil {
		t.Error("a wrong checksum was taken")
	}
}

// A second reload is refused without waiting, and the host's end does not wait for a reload.
func TestCloseWhileReloading(t *testing.T) {
	c := newCore(t, func(o *stubhost.Options) { quick(o); o.Drain = time.Minute })
	requester := stubURL("r")
	c.deployAs(installed("echo"), requester, sdk.RoleRequester, "")
	old, _ := c.pid(requester)
	p := upgrade(t, "echo")
	_, outcome := c.reload(p)
	if _, err := c.host.Reload(t.Context(), p, stubhost.ReloadOptions{}); !errors.Is(err, stubhost.ErrReloading) {
		t.Errorf("a second reload: %v", err)
	}
	young := c.host.Plugins()[0].PID
	if young == old {
		t.Errorf("the new process is not shown: %+v", c.host.Plugins()[0])
	}
	if err := c.host.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-outcome
	for _, pid := range []int{old, young} {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := c.host.Reload(t.Context(), p, stubhost.ReloadOptions{}); !errors.Is(err, stubhost.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
