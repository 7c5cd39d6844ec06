//go:build unix

package stubhost_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func sum256(b []byte) [32]byte { return sha256.Sum256(b) }

const beHostFlag = "--be-a-host"

// hostsPlugins is the number of plug-ins of a beHost. One of them does not check whether its host still runs.
const hostsPlugins = 3

// beHost is a process with a host: it deploys plug-ins, prints their process IDs, and waits.
func beHost(dir string) {
	h, err := stubhost.New(stubhost.Options{Dir: dir, Users: usersOfTests(),
		Message: func(context.Context, message.URL, message.Message) error { return nil },
		Frames:  func(context.Context, message.URL, message.URL, []sdk.Frame) bool { return true }})
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"echo", "foreign", "stubborn"} {
		in := stubhost.Instance{URL: stubURL(name), Runtime: runtimeURL, Role: sdk.RoleNode}
		if err := h.Deploy(context.Background(), installed(name), in); err != nil {
			panic(err)
		}
	}
	for _, p := range h.Plugins() {
		fmt.Println(p.PID)
	}
	select {}
}

func TestHostKilledLeavesNoOrphans(t *testing.T) {
	host := exec.Command(self(), beHostFlag, t.TempDir())
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var pids []int
	for len(pids) < hostsPlugins && lines.Scan() {
		pid, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil || !alive(pid) {
			t.Errorf("%q is no running plug-in", lines.Text())
		}
		pids = append(pids, pid)
	}
	_ = host.Process.Kill()
	_ = host.Wait()
	if len(pids) != hostsPlugins {
		t.Fatal("the host did not get so far")
	}
	for _, pid := range pids {
		untilDead(t, pid)
	}
}
