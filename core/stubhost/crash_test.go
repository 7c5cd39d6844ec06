//go:build unix

package stubhost_test

import (
	"context"
	"errors"
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

func quick(o *stubhost.Options) { o.BackoffMin, o.StopGrace = 10*time.Millisecond, 10*time.Second }

// impatient sets short times, for plug-ins that do not end when they are asked to.
func impatient(o *stubhost.Options) { o.BackoffMin, o.StopGrace = 10*time.Millisecond, time.Second }

func TestCrashIsToldAndHealed(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"panic", "exit", "kill -9"} {
		t.Run(way, func(t *testing.T) {
			c := newCore(t, quick)
			a, b := stubURL("a"), stubURL("b")
			c.deploy("echo", a)
			c.deploy("echo", b)
			for _, s := range [][2]string{{"hyperty-runtime://example.com/live", "live"}, {"hyperty-runtime://example.com/half", "in-progress"},
				{"hyperty-runtime://example.com/over", "live"}, {"hyperty-runtime://example.com/over", "disconnected"}} {
				c.tell(a, map[string]any{"method": "status", "resource": s[0], "value": s[1]})
			}
			pid, _ := c.pid(a)
			if way == "kill -9" {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			} else {
				c.order(a, way)
			}
			c.until("both stubs to be started again", func() bool { return c.started(a) == 2 && c.started(b) == 2 })
			c.mu.Lock()
			gotA, gotB := c.statuses(a), c.statuses(b)
			c.mu.Unlock()
			slices.Sort(gotA[5:8]) // the order of a table of peers is random
			wantA := []string{"created", "live hyperty-runtime://example.com/live", "in-progress hyperty-runtime://example.com/half",
				"live hyperty-runtime://example.com/over", "disconnected hyperty-runtime://example.com/over",
				"disconnected", "disconnected hyperty-runtime://example.com/live", "failed hyperty-runtime://example.com/half", "created"}
			if !slices.Equal(gotA, wantA) {
				t.Errorf("statuses of the first stub:\n got %q\nwant %q", gotA, wantA)
			}
			if !slices.Equal(gotB, []string{"created", "disconnected", "created"}) {
				t.Errorf("statuses of the second stub: %q", gotB)
			}
			again, restarted := c.pid(a)
			if again == pid || !restarted {
				t.Errorf("process %d after %d, restarted %t", again, pid, restarted)
			}
			state := c.host.Plugins()[0]
			if state.Restarts != 1 || state.LastError == "" || way == "panic" && !strings.Contains(state.LastError, "panic: the stub's own panic") {
				t.Errorf("state: %+v", state)
			}
			if err := c.host.Send(t.Context(), a, a, sdk.Frame{Payload: []byte("again")}); err != nil {
				t.Fatal(err)
			}
			c.until("a frame after the restart", func() bool { return slices.Equal(c.frames[a], []string{"again"}) })
		})
	}
}

func TestStubThatReturnsIsStartedAgain(t *testing.T) {
	c := newCore(t, quick)
	a, b := stubURL("a"), stubURL("b")
	c.deploy("echo", a)
	c.deploy("echo", b)
	pid, _ := c.pid(a)
	c.order(a, "return")
	c.until("the stub to be started again", func() bool { return c.started(a) == 2 })
	again, restarted := c.pid(a)
	if again != pid || !restarted {
		t.Errorf("process %d after %d, restarted %t; the process should have gone on", again, pid, restarted)
	}
	if _, restarted := c.pid(b); restarted {
		t.Error("another stub was started again too")
	}
	if state := c.host.Plugins()[0]; state.State != stubhost.Running || !strings.Contains(state.LastError, "I give up") {
		t.Errorf("people do not see that the stub has failed: %+v", state)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.statuses(a); !slices.Equal(got, []string{"created", "disconnected", "created"}) {
		t.Errorf("statuses: %q", got)
	}
	if got := string(c.messages[len(c.messages)-2].Body); !strings.Contains(got, "I give up") {
		t.Errorf("the event does not say why: %s", got)
	}
}

func TestSlowDoorHoldsBackNobodyElse(t *testing.T) {
	t.Parallel()
	c := newCore(t, nil)
	a, b := stubURL("a"), stubURL("b")
	c.deploy("echo", a)
	c.deploy("echo", b)
	slow := a.Join("slow")
	c.tell(a, map[string]any{"method": "open", "door": slow, "value": "deaf"})
	sent, err := c.fill(a, slow)
	if !errors.Is(err, context.DeadlineExceeded) || sent < 90 || sent > 120 {
		t.Errorf("a door that nobody empties took %d frames of 10 kB, then %v", sent, err)
	}
	hold := make(chan struct{}) // in the other direction: the core does not take frames from a's door
	c.mu.Lock()
	c.hold[a] = hold
	c.mu.Unlock()
	sent, _ = c.fill(a, a)
	c.pid(a) // messages of the same stub go on
	if err := c.host.Send(t.Context(), b, b, sdk.Frame{Payload: []byte("through")}); err != nil {
		t.Fatal(err)
	}
	c.until("a frame of another stub", func() bool { return len(c.frames[b]) == 1 })
	close(hold)
	c.until("the rest", func() bool { return len(c.frames[a]) == sent })
	if sent <= 100 {
		t.Errorf("a door took %d frames of 10 kB in both directions", sent)
	}
}

// fill sends frames of 10 kB by a door until it has taken none for a while, and returns how many it has taken.
func (c *core) fill(stub, door message.URL) (sent int, err error) {
	send := func() error {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		defer cancel()
		return c.host.Send(ctx, stub, door, sdk.Frame{Payload: make([]byte, 10000)})
	}
	for err = send(); err == nil; err = send() {
		sent++
	}
	return sent, err
}

func TestDoors(t *testing.T) {
	c := newCore(t, nil)
	a := stubURL("a")
	c.deploy("echo", a)
	d := a.Join("d")
	if err := c.host.Send(t.Context(), a, d, sdk.Frame{}); !errors.Is(err, stubhost.ErrNoDoor) {
		t.Errorf("send by a door that is not open: %v", err)
	}
	c.tell(a, map[string]any{"method": "open", "door": d, "value": "echo"})
	if err := c.host.Send(t.Context(), a, d, sdk.Frame{Payload: []byte("x")}); err != nil {
		t.Errorf("the answer came before the door was open: %v", err)
	}
	c.until("the echo", func() bool { return len(c.frames[d]) == 1 })
	if err := c.host.Send(t.Context(), stubURL("no"), d, sdk.Frame{}); !errors.Is(err, stubhost.ErrNotDeployed) {
		t.Errorf("send by no stub: %v", err)
	}
	if err := c.host.Send(t.Context(), a, d, sdk.Frame{Payload: make([]byte, sdk.MaxFrame)}); err != nil {
		t.Errorf("the largest frame: %v", err)
	}
	c.until("the largest frame's echo", func() bool { return len(c.frames[d]) == 2 })
	if err := c.host.Send(t.Context(), a, d, sdk.Frame{Payload: make([]byte, sdk.MaxFrame+1)}); err == nil {
		t.Error("a larger frame than the largest was sent")
	}
}

func TestFrozenPluginIsKilled(t *testing.T) {
	t.Parallel()
	c := newCore(t, impatient)
	a := stubURL("a")
	c.deploy("echo", a)
	pid, _ := c.pid(a)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := c.host.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("it still runs")
	}
}

func TestFrozenPluginIsStartedAgain(t *testing.T) {
	t.Parallel()
	c := newCore(t, func(o *stubhost.Options) { quick(o); o.Health = 1500 * time.Millisecond })
	a := stubURL("a")
	c.deploy("echo", a)
	c.tell(a, map[string]any{"method": "status", "resource": "hyperty-runtime://example.com/live", "value": "live"})
	pid, _ := c.pid(a)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.until("the stub to be started again", func() bool { return c.started(a) == 2 })
	if again, restarted := c.pid(a); again == pid || !restarted || alive(pid) {
		t.Errorf("process %d after %d, restarted %t", again, pid, restarted)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.statuses(a); !slices.Contains(got, "disconnected hyperty-runtime://example.com/live") {
		t.Errorf("statuses: %q", got)
	}
	if got := c.host.Plugins()[0].LastError; !strings.Contains(got, "did not answer for 3s") {
		t.Errorf("last error: %s", got)
	}
}

// A short pause, as of a machine that slept, does not count as frozen.
func TestShortFreezeIsForgiven(t *testing.T) {
	t.Parallel()
	const every = 1500 * time.Millisecond
	c := newCore(t, func(o *stubhost.Options) { quick(o); o.Health = every })
	a := stubURL("a")
	c.deploy("echo", a)
	pid, _ := c.pid(a)
	for range 2 {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		<-time.After(every)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if again, restarted := c.pid(a); again != pid || restarted {
			t.Fatalf("process %d after %d, restarted %t", again, pid, restarted)
		}
	}
}

// If the sockets are outside of the host's own directory, because of its long path, a killed host's are removed by the next
// one.
func TestSocketsElsewhereAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o := stubhost.Options{Dir: filepath.Join(t.TempDir(), strings.Repeat("long", 20)),
		Message: func(context.Context, message.URL, message.Message) error { return nil },
		Frames:  func(context.Context, message.URL, message.URL, []sdk.Frame) bool { return true }}
	left := func() []string {
		found, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if _, err := stubhost.New(o); err != nil { // never closed, as if it had been killed
		t.Fatal(err)
	}
	first := left()
	h, err := stubhost.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if now := left(); len(first) != 1 || len(now) != 1 || now[0] == first[0] {
		t.Errorf("first %q, then %q", first, now)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := left(); len(now) != 0 {
		t.Errorf("left: %q", now)
	}
}

func TestUpgradeDoesNotStopWhatRuns(t *testing.T) {
	c := newCore(t, quick)
	program := filepath.Join(t.TempDir(), "program")
	if err := os.Link(self(), program); err != nil {
		t.Skip("no hard link: ", err)
	}
	a := stubURL("a")
	p := stubhost.Plugin{Name: "echo", Path: program, SHA256: checksum()}
	if err := c.host.Deploy(t.Context(), p, stubhost.Instance{URL: a, Runtime: runtimeURL, Role: sdk.RoleNode}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	c.until("it to have started", func() bool { return c.started(a) == 1 })
	c.order(a, "exit")
	c.until("it to be started again", func() bool { return c.started(a) == 2 })
}

func TestUndeploy(t *testing.T) {
	c := newCore(t, func(o *stubhost.Options) { quick(o); o.Idle = 50 * time.Millisecond })
	a := stubURL("a")
	c.deploy("echo", a)
	pid, _ := c.pid(a)
	in := stubhost.Instance{URL: a, Runtime: runtimeURL}
	if err := c.host.Deploy(t.Context(), installed("echo"), in); !errors.Is(err, stubhost.ErrDeployed) {
		t.Errorf("deployed twice: %v", err)
	}
	if err := c.host.Undeploy(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	c.until("its last words", func() bool { return slices.Equal(c.statuses(a), []string{"created", "disconnected"}) })
	untilDead(t, pid)
	c.deploy("echo", a) // the same address again, in a new process
	if again, restarted := c.pid(a); again == pid || restarted {
		t.Errorf("process %d after %d, restarted %t", again, pid, restarted)
	}
}

func TestUndeployOfAStubThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	c := newCore(t, func(o *stubhost.Options) { impatient(o); o.Idle = 50 * time.Millisecond })
	s := stubURL("s")
	c.deploy("stubborn", s)
	if err := c.host.Undeploy(t.Context(), s); !errors.Is(err, stubhost.ErrHangs) {
		t.Errorf("a stub that does not end: %v", err)
	}
	c.deploy("stubborn", s) // it waits until the old process is gone
	if n := len(c.host.Plugins()[0].Instances); n != 1 {
		t.Errorf("%d instances", n)
	}
}

func TestEnvironmentIsMinimal(t *testing.T) {
	t.Setenv("PROTOFLY_SECRET", "not for plug-ins")
	c := newCore(t, func(o *stubhost.Options) { o.Env = append(o.Env, "GIVEN=1") })
	a := stubURL("a")
	c.deploy("echo", a)
	env := string(c.tell(a, map[string]any{"method": "env"}))
	if strings.Contains(env, "PROTOFLY_SECRET") || !strings.Contains(env, "GIVEN=1") {
		t.Errorf("environment: %s", env)
	}
	c.tell(a, map[string]any{"method": "print"}) // does not break the link
	c.pid(a)
}
