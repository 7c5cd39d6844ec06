package sdk_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const beParent = "--be-a-parent"

// The test binary is a plug-in when it is called as one, and a parent that starts one and goes.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == beParent:
		parent()
	case len(os.Args) == 1 || os.Args[1] == "--describe":
		sdk.Serve(sdk.Descriptor{Name: "idler", Version: "1.0", Kind: sdk.KindP2P, About: "does nothing"}, idler{})
	}
	longtest.Parallel(32)
	goleak.VerifyTestMain(m)
}

type idler struct{}

func (idler) Run(ctx context.Context, _ message.Bus, _ sdk.Start) error {
	<-ctx.Done()
	return nil
}

// pluginCommand is the test binary as a host would start it.
func pluginCommand() *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(path)
	shake := link.Handshake()
	cmd.Env = append(os.Environ(), shake.MagicCookieKey+"="+shake.MagicCookieValue, "PLUGIN_PROTOCOL_VERSIONS=1",
		link.LogLevelVariable+"=debug")
	return cmd
}

// parent starts a plug-in that inherits its outputs, waits for the handshake, and goes.
func parent() {
	cmd := pluginCommand()
	out, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	_, _ = bufio.NewReader(out).ReadString('\n')
	os.Exit(0)
}

func TestServeByHand(t *testing.T) {
	cmd := pluginCommand()
	cmd.Env = nil
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err == nil || len(out) != 0 || !strings.Contains(errs.String(), "a runtime starts it, people do not") ||
		!strings.Contains(errs.String(), "protofly plugins install") {
		t.Errorf("%v: %q, %q", err, out, errs.String())
	}
}

func TestServeDescribe(t *testing.T) {
	cmd := pluginCommand()
	cmd.Env, cmd.Args = nil, append(cmd.Args, "--describe")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var d sdk.Descriptor
	if err := json.Unmarshal(out, &d); err != nil || d.Name != "idler" || d.About != "does nothing" {
		t.Errorf("%q, %v", out, err)
	}
}

// startPlugin starts a plug-in whose host never opens the link, and returns when it listens.
func startPlugin(t *testing.T) (cmd *exec.Cmd, socket string) {
	cmd = pluginCommand()
	cmd.Env = append(cmd.Env, "PLUGIN_UNIX_SOCKET_DIR="+shortDir(t))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	parts := strings.Split(line, "|")
	if err != nil || len(parts) < 5 || parts[1] != "1" || parts[4] != "grpc" {
		_ = cmd.Process.Kill()
		t.Fatalf("handshake %q, %v", line, err)
	}
	return cmd, parts[3]
}

func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "sdk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestServeEndsAtSignals(t *testing.T) {
	cmd, socket := startPlugin(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

// The same as TestEndsWithoutLink, with a process and the time on the wall.
func TestLongServeEndsWithoutLink(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	cmd, _ := startPlugin(t)
	began := time.Now()
	err := cmd.Wait()
	if err == nil || time.Since(began) < 10*time.Second {
		t.Errorf("without a link it ended after %s with %v", time.Since(began), err)
	}
}

func TestServeEndsWhenItsParentDoes(t *testing.T) {
	t.Parallel()
	path, _ := os.Executable()
	cmd := exec.Command(path, beParent)
	errs, err := cmd.StderrPipe() // the plug-in's too: it ends when both have
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var said bytes.Buffer
	if _, err := said.ReadFrom(errs); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !strings.Contains(said.String(), "the host is gone") || time.Since(began) > 30*time.Second {
		t.Errorf("after %s: %s", time.Since(began), said.String())
	}
}
