package core_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// userOf is the user ID of a process.
func userOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nUid:")
	uid, err := strconv.Atoi(strings.Fields(rest)[1])
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func (p *process) plugin(t *testing.T, name string) api.Plugin {
	t.Helper()
	for _, s := range p.status(t).Plugins {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no plug-in %s", name)
	return api.Plugin{}
}

// A runtime of root has everything in folders that only root can read. Its plug-ins get users of their own without any
// configuration, except one whose configuration names a file that only root can read: it works as root; the status says what
// to do, and when that is done, it gets a user too. If the configuration insists on users, the runtime does not start before.
func TestRootsPluginsHaveUsers(t *testing.T) {
	if err := stubhost.Separable(sandbox.Users{}, sandbox.Auto); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	node := startNode(t, "example.com", "PROTOFLY_NODE_ADMIT__MEMBERS=invited")
	token, err := exec.Command(built.node, "admit", "--domain", node.domain, "--data", node.dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(temporary(t), "token")
	if err := os.WriteFile(file, token, 0o600); err != nil {
		t.Fatal(err)
	}
	stub := fmt.Sprintf("stubs: {msgnode-ws: {token_file: %s}}", file)
	dir := shortDir(t)
	p := startProcess(t, dir, node, stub)
	p.talk(t)
	for _, name := range built.transportIDs {
		if s := p.plugin(t, name); userOf(t, s.PID) < sandbox.FirstUID || s.User != fmt.Sprint(userOf(t, s.PID)) || s.LastError != "" {
			t.Errorf("%s runs as %d: %+v", name, userOf(t, s.PID), s)
		}
	}
	s := p.plugin(t, "msgnode-ws")
	if userOf(t, s.PID) != 0 || !strings.HasPrefix(s.User, "root: user ") || !strings.HasPrefix(s.Sandbox, "landlock") != strings.HasPrefix(s.Sandbox, "off") || s.LastError != "" {
		t.Errorf("msgnode-ws runs as %d: %+v", userOf(t, s.PID), s)
	}
	id := strings.Fields(s.User + " - -")[2]
	if want := fmt.Sprintf("root: user %s cannot read %s: chgrp %[1]s %[2]s && chmod g+r %[2]s; then: protofly plugins reload msgnode-ws", id, file); s.User != want {
		t.Errorf("the status says\n%q, not\n%q", s.User, want)
	}

	_, does, _ := strings.Cut(s.User, ": chgrp")
	does, _, _ = strings.Cut("chgrp"+does, ";")
	if out, err := exec.Command("/bin/sh", "-c", does).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", does, err, out)
	}
	if out, err := exec.Command(built.runtime, "plugins", "reload", "msgnode-ws", "--socket", p.socket).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if s := p.plugin(t, "msgnode-ws"); fmt.Sprint(userOf(t, s.PID)) != id || s.User != id {
		t.Errorf("after %q msgnode-ws runs as %d: %+v", does, userOf(t, s.PID), s)
	}
	p.talk(t)
	_ = p.cmd.Process.Signal(os.Interrupt)
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}

	if err := os.Chown(file, 0, 0); err != nil {
		t.Fatal(err)
	}
	strict := startProcess(t, dir, node, stub, "plugins: {uids: on}")
	for deadline := time.Now().Add(waitTime); ; time.Sleep(20 * time.Millisecond) { // another process tries to start it
		said := strict.plugin(t, "msgnode-ws").LastError
		if strings.Contains(said, "cannot read "+file) && strings.Contains(said, "(or plugins.uids: auto, ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the status says %q", said)
		}
	}
}
