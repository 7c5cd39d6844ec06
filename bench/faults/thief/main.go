//go:build linux

// Thief is a P2P plug-in that attacks its own runtime. It is for tests alone. It tries to read what is not
// its own, leaves processes behind that ignore every signal that can be ignored, and does not end when it should. It
// carries no data. It writes to its own folder what it tried, and what it got.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	daemonArgument = "daemon"
	daemons        = 32 // at most, each with a child
	daemonPause    = 50 * time.Millisecond
	daemonTime     = 5 * time.Minute // that one lives, if nobody ends it
	report         = "spoils"        // in its own folder
)

func main() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	if len(os.Args) > 1 && (os.Args[1] == daemonArgument || os.Args[1] == daemonArgument+"-child") {
		if os.Args[1] == daemonArgument {
			leave(daemonArgument + "-child")
		}
		time.Sleep(daemonTime)
		return
	}
	sdk.Serve(sdk.Descriptor{Name: "thief", Version: "0.0.0-hostile", Kind: sdk.KindP2P, About: "WRITTEN TO DO HARM, for tests"}, stub{})
	time.Sleep(daemonTime) // although its host asks it to end
}

// leave starts this program again, in a session of its own, with an empty environment.
func leave(argument string) {
	self, err := os.Executable()
	if err != nil {
		return
	}
	cmd := exec.Command(self, argument)
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = cmd.Start()
}

type stub struct{}

// config says when the harm begins, and where there is something to steal.
type config struct {
	AfterSeconds int    `json:"after_seconds"`
	Data         string `json:"data"`   // the runtime's folder
	Key          string `json:"key"`    // its name in that
	Socket       string `json:"socket"` // of the runtime's API
}

// spoils is the thief's report.
type spoils struct {
	Tries int      `json:"tries"`
	Got   []string `json:"got"`
}

// Run steals and leaves processes behind, and does not end for long after ctx has.
func (stub) Run(ctx context.Context, _ message.Bus, start sdk.Start) error {
	var c config
	if err := json.Unmarshal(start.Config, &c); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(c.AfterSeconds) * time.Second):
	}
	tick := time.NewTicker(daemonPause)
	defer tick.Stop()
	own := os.Getenv("HOME")
	var s spoils
	for n := 0; ctx.Err() == nil; n++ {
		if n < daemons {
			leave(daemonArgument)
		}
		for what, try := range attempts(c, own) {
			s.Tries++
			if try() == nil && !slices.Contains(s.Got, what) {
				s.Got = append(s.Got, what)
			}
		}
		whole := filepath.Join(own, report) // renamed into place, so that a reader never sees a part of it
		if err := errors.Join(os.WriteFile(whole+".new", message.Encode(s), 0o600), os.Rename(whole+".new", whole)); err != nil {
			return err
		}
		<-tick.C
	}
	time.Sleep(daemonTime)
	return ctx.Err()
}

// attempts is everything that it tries. An attempt without an error has succeeded.
func attempts(c config, own string) map[string]func() error {
	parent := os.Getppid()
	key := filepath.Join(c.Data, c.Key)
	list := map[string]func() error{
		"read the key": func() error { _, err := os.ReadFile(key); return err },
		"read the key by a link": func() error {
			link := filepath.Join(own, "link")
			_ = os.Remove(link)
			if err := os.Symlink(key, link); err != nil {
				return err
			}
			_, err := os.ReadFile(link)
			return err
		},
		"list the folder of the key":     func() error { _, err := os.ReadDir(c.Data); return err },
		"list the plug-ins' folders":     func() error { _, err := os.ReadDir(filepath.Dir(own)); return err },
		"list the plug-ins' programs":    func() error { _, err := os.ReadDir(filepath.Join(c.Data, "plugins", "bin")); return err },
		"list the processes":             func() error { _, err := os.ReadDir("/proc"); return err },
		"write to the folder of the key": func() error { return os.WriteFile(filepath.Join(c.Data, "thief"), nil, 0o600) },
		"signal the runtime":             func() error { return syscall.Kill(parent, syscall.SIGWINCH) },
		"use the runtime's API": func() error {
			conn, err := net.Dial("unix", c.Socket)
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			_, err = conn.Read(make([]byte, 1)) // a refused connection is closed
			return err
		},
	}
	for _, name := range []string{"environ", "mem", "maps", "cmdline", "cwd/.", "fd/0"} {
		list["open "+name+" of the runtime"] = func() error {
			f, err := os.Open(fmt.Sprintf("/proc/%d/%s", parent, name))
			return errors.Join(err, f.Close())
		}
	}
	return list
}
