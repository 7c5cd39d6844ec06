package stubhost_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/stubhost"
)

// A process that serves the link after the plug-in's process has ended does not count as the plug-in.
func TestDaemonIsNoPlugin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "h")
	c := newCore(t, func(o *stubhost.Options) { slow(o); o.Dir, o.StopGrace = dir, 2*time.Second })
	d := stubURL("daemon")
	programs := programsOf(dir)
	c.deploy("daemon", d)
	dead := c.host.Plugins()[0].PID
	untilDead(t, dead)
	late := time.After(time.Minute)
	for {
		s := c.host.Plugins()[0]
		if s.State == stubhost.Running && s.PID == 0 {
			t.Fatalf("status of a dead process: %+v", s)
		}
		if s.Restarts == 1 {
			break
		}
		select {
		case <-late: // the host has not noticed that the process has ended
			t.Fatalf("it goes on: %+v", s)
		case <-time.After(20 * time.Millisecond):
		}
	}
	began := time.Now()
	if err := c.host.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %s", took)
	}
	for _, pid := range withArgument(t, programs, specialDaemon) {
		t.Errorf("process %d is left", pid)
	}
}

// Close returns in time whatever a plug-in does: it does not end when it is asked to, and processes that have left its group
// hold its link and its output open and start others. None of them is left.
func TestCloseKeepsItsTime(t *testing.T) {
	const given, never = 500 * time.Millisecond, 90 * time.Second
	dir := filepath.Join(t.TempDir(), "h")
	c := newCore(t, func(o *stubhost.Options) { slow(o); o.Dir, o.StopGrace = dir, never })
	c.host.Wait(never)
	programs := programsOf(dir)
	c.deploy("hydra", stubURL("hydra"))
	for late := time.Now().Add(time.Minute); len(withArgument(t, programs, specialHead)) < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it starts no processes")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), given)
	defer cancel()
	began := time.Now()
	if err := c.host.Close(ctx); err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	if took > time.Minute { // the default waits are longer; the machine may be busy
		t.Errorf("Close took %s, of which it had %s", took, given)
	}
	t.Logf("Close took %s, of which it had %s", took.Round(time.Millisecond), given)
	for _, argument := range []string{specialHead, specialDaemon} {
		for _, pid := range withArgument(t, programs, argument) {
			t.Errorf("process %d is left", pid)
		}
	}
}

// programsOf are the folders of the programs that a host in dir runs, while it is open.
func programsOf(dir string) []string {
	dirs := []string{dir}
	if elsewhere, err := os.ReadFile(filepath.Join(dir, "sockets")); err == nil { // if plug-ins have users of their own
		dirs = append(dirs, string(elsewhere))
	}
	return dirs
}

// withArgument are the processes of the programs in some folders that were started with an argument. Other tests may run at
// the same time, in other processes.
func withArgument(t *testing.T, dirs []string, argument string) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		var pid int
		if _, no := fmt.Sscan(e.Name(), &pid); err == nil && no == nil && slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(string(line), dir) }) && strings.Contains(string(line), argument+"\x00") && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestOrphansEndWithTheirPlugin(t *testing.T) {
	t.Parallel()
	c := newCore(t, impatient)
	a, b := stubURL("a"), stubURL("b")
	c.deploy("echo", a)
	c.deploy("stubborn", b)
	var orphan int
	if err := json.Unmarshal(c.tell(a, map[string]any{"method": "orphan"}), &orphan); err != nil {
		t.Fatal(err)
	}
	untilItSleeps(t, orphan)
	if !alive(orphan) {
		t.Fatal("it does not run")
	}
	began := time.Now()
	if err := c.host.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(orphan) {
		t.Error("it is left")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %s", took)
	}
}

// untilItSleeps waits until an orphan runs its last program, or has ended. Before that it starts other programs, and while a
// program is started the system shows no environment.
func untilItSleeps(t *testing.T, pid int) {
	t.Helper()
	for range 10_000 {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		environment, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // the environment can be read a moment later than the name
		if string(name) == "sleep\n" && len(environment) > 0 || !alive(pid) {
			return
		}
		time.Sleep(time.Millisecond) // there is no event to wait for
	}
	t.Fatalf("process %d does not sleep", pid)
}

// beReaper is a process that does nothing but host plug-ins. Each line of its input is an order for the plug-in; it prints
// the ID of the process that the plug-in has started. It ends with its input.
func beReaper(t testing.TB, dir string) {
	c := newCore(t, func(o *stubhost.Options) { impatient(o); o.Dir, o.Reaper = dir, true })
	a := stubURL("a")
	c.deploy("echo", a)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(string(c.tell(a, map[string]any{"method": "orphan", "value": in.Text()})))
	}
	if err := c.host.Close(context.Background()); err != nil {
		panic(err)
	}
}

// TestReaper becomes the process that beReaper describes, when it is started as one.
func TestReaper(t *testing.T) {
	dir := os.Getenv("BE_A_REAPER")
	if dir == "" {
		t.Skip("only as a process of its own")
	}
	beReaper(t, dir)
}

// reaper starts such a process.
func reaper(t *testing.T) (host *exec.Cmd, orphan func(how string) int, end func()) {
	t.Helper()
	host = exec.Command(self(), "-test.run=^TestReaper$", "-test.v=false")
	host.Env = append(os.Environ(), "BE_A_REAPER="+t.TempDir())
	host.Stderr = os.Stderr
	in := must(host.StdinPipe())
	out := bufio.NewScanner(must(host.StdoutPipe()))
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	orphan = func(how string) (pid int) {
		t.Helper()
		fmt.Fprintln(in, how)
		if !out.Scan() {
			t.Fatal("the host has ended")
		}
		if _, err := fmt.Sscan(out.Text(), &pid); err != nil {
			t.Fatal(err)
		}
		untilItSleeps(t, pid)
		return pid
	}
	return host, orphan, func() { _ = in.Close() }
}

func TestReaperEndsWhatHides(t *testing.T) {
	t.Parallel()
	host, orphan, end := reaper(t)
	hidden, known := orphan("hide"), orphan("")
	untilDead(t, hidden) // its environment does not name a plug-in that runs
	if !alive(known) {
		t.Error("what an honest plug-in has started was ended while it runs")
	}
	last := orphan("hide")
	end()
	if err := host.Wait(); err != nil {
		t.Error(err)
	}
	for _, pid := range []int{known, last} {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

// The processes that a killed host's plug-ins have left behind are killed by the next host in its folder.
func TestNextHostEndsWhatIsLeft(t *testing.T) {
	host, orphan, _ := reaper(t)
	left := orphan("")
	_ = host.Process.Kill()
	_ = host.Wait()
	if !alive(left) {
		t.Skip("it is dead already")
	}
	dir, _ := strings.CutPrefix(host.Env[len(host.Env)-1], "BE_A_REAPER=")
	c := newCore(t, func(o *stubhost.Options) { o.Dir = dir })
	_ = c
	if alive(left) {
		t.Error("it is left")
	}
}
