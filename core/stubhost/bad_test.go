//go:build unix

package stubhost_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
)

func TestBadPlugins(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\nsleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	noProgram := stubhost.Plugin{Name: "text", Path: other, SHA256: fileSum(t, other)}
	for _, bad := range []struct {
		plugin stubhost.Plugin
		reason stubhost.Reason
		says   string
	}{
		{installed("garbage"), stubhost.Garbage, "hello, I am a program"},
		{installed("silent"), stubhost.Hung, "did not answer within"},
		{installed("quitter"), stubhost.Exited, "exit status 3: I cannot find my files"},
		{installed("elsewhere"), stubhost.LinkFailed, "not in the directory"},
		{installed("deaf"), stubhost.Hung, "link did not work within"},
		{installed("future"), stubhost.Version, "speaks version 7 of the link protocol, this runtime speaks version 1"},
		{installed("impostor"), stubhost.Impostor, `is the plug-in "echo"`},
		{stubhost.Plugin{Name: "absent", Path: "/nowhere/plugin", SHA256: noProgram.SHA256}, stubhost.Missing, "install it again"},
		{stubhost.Plugin{Name: "changed", Path: other, SHA256: checksum()}, stubhost.Checksum, "not the file that was installed"},
		{stubhost.Plugin{Name: "unsigned", Path: other}, stubhost.Checksum, "no SHA-256"},
		{noProgram, stubhost.Hung, ""},
	} {
		t.Run(bad.plugin.Name, func(t *testing.T) {
			t.Parallel()
			// On a busy machine a good plug-in may also take longer than the first of these.
			timeouts := []time.Duration{2 * time.Second, 10 * time.Second, time.Minute}
			if bad.reason != stubhost.Hung {
				timeouts = timeouts[2:]
			}
			var err error
			for _, timeout := range timeouts {
				if err = deployBad(t, bad.plugin, timeout); tells(err, bad.reason, bad.says) {
					t.Log(err)
					return
				}
			}
			t.Fatalf("got %v, want %s: %q", err, bad.reason, bad.says)
		})
	}
}

func tells(err error, reason stubhost.Reason, says string) bool {
	var start *stubhost.StartError
	return errors.As(err, &start) && start.Reason == reason && strings.Contains(err.Error(), says)
}

// deployBad returns the error of deploying the plug-in beside a good one, and checks that it has done no harm.
func deployBad(t *testing.T, plugin stubhost.Plugin, timeout time.Duration) error {
	c := newCore(t, func(o *stubhost.Options) { quick(o); o.StartTimeout = timeout })
	good := stubhost.Instance{URL: stubURL("good"), Runtime: runtimeURL, Role: sdk.RoleNode}
	if err := c.host.Deploy(t.Context(), installed("echo"), good); err != nil {
		return fmt.Errorf("the good plug-in: %w", err)
	}
	in := stubhost.Instance{URL: stubURL(plugin.Name), Runtime: runtimeURL, Role: sdk.RoleNode}
	err := c.host.Deploy(t.Context(), plugin, in)
	if err := c.host.Undeploy(t.Context(), in.URL); !errors.Is(err, stubhost.ErrNotDeployed) {
		t.Errorf("something is left of it: %v", err)
	}
	if _, restarted := c.pid(good.URL); restarted {
		t.Error("a bad plug-in has harmed a good one")
	}
	return err
}

func fileSum(t testing.TB, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum256(b))
}

func TestOutlawIsEnded(t *testing.T) {
	t.Parallel()
	c := newCore(t, func(o *stubhost.Options) { quick(o); o.BackoffMin = time.Minute })
	hold := make(chan struct{})
	defer close(hold)
	a, good := stubURL("a"), stubURL("good")
	c.hold[a] = hold
	c.deploy("echo", good)
	c.deploy("outlaw", a)
	late := time.After(time.Minute)
	for {
		state := c.host.Plugins()
		if s := state[1]; s.Name == "outlaw" && strings.Contains(s.LastError, "more data than the window") {
			break
		}
		select {
		case <-late:
			t.Fatalf("it was let: %+v", state)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if _, restarted := c.pid(good); restarted {
		t.Error("it has harmed a good one")
	}
}
