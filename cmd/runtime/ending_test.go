package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/gobuild"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// house is a Message Node and runtimes, each a process of the programs that users start.
type house struct {
	t    *testing.T
	dir  string
	node string // its address
}

func newProcesses(t *testing.T) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "pf-") // short, for the names of sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &house{t: t, dir: dir}
	bin := filepath.Join(dir, "bin")
	if err := gobuild.Programs(t.Context(), bin, "cmd/msgnode", "cmd/runtime", "plugins/msgnode-ws"); err != nil {
		t.Fatal(err)
	}
	if _, err := catalogue.Install(t.Context(), filepath.Join(bin, gobuild.Name("msgnode-ws")), filepath.Join(dir, "plugins")); err != nil {
		t.Fatal(err)
	}
	h.start("listening on %s", &h.node, "msgnode", "run", "--listen", "127.0.0.1:0", "--domain", "example.com", "--data", filepath.Join(dir, "node"), "--log-level", "warn")
	return h
}

// start starts a program and reads its first line.
func (h *house) start(line string, into *string, program string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(filepath.Join(h.dir, "bin", gobuild.Name(program)), args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+h.dir)
	if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	said, err := bufio.NewReader(out).ReadString('\n')
	if _, err2 := fmt.Sscanf(said, line, into); err != nil || err2 != nil {
		h.t.Fatalf("%s said %q: %v, %v", program, said, err, err2)
	}
	return cmd
}

// runtime starts a runtime, and returns its process and its socket.
func (h *house) runtime(name string) (cmd *exec.Cmd, socket string) {
	h.t.Helper()
	dir := filepath.Join(h.dir, name)
	socket = filepath.Join(dir, "api")
	text := fmt.Sprintf("domain: example.com\nnode: %s\ndata: %s\nplugins: {dir: %s}\napi: {socket: %s}\nlog: {level: warn}\np2p: {policy: never}\n",
		h.node, filepath.Join(dir, "data"), filepath.Join(h.dir, "plugins"), socket)
	config := filepath.Join(dir, "config.yaml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	var url string
	return h.start("runtime %s ready", &url, "runtime", "run", "--config", config), socket
}

// status is what a runtime says of itself.
func (h *house) status(socket string) (s api.Status) {
	h.t.Helper()
	out, err := exec.Command(filepath.Join(h.dir, "bin", gobuild.Name("runtime")), "status", "--json", "--socket", socket).CombinedOutput()
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		h.t.Fatalf("status: %v\n%s", err, out)
	}
	return s
}

// register makes a hyperty of an application at a runtime.
func (h *house) register(socket, name string) *hyperty.Hyperty {
	h.t.Helper()
	client, err := hyperty.Dial(h.t.Context(), hyperty.Options{Socket: socket})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = client.Close(ctx)
	})
	one, err := client.Register(h.t.Context(), hyperty.Registration{Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return one
}

// hearing is what a sender hears of its messages.
type hearing struct {
	mu      sync.Mutex
	changed chan struct{} // gets a value with each
	heard   map[string][]hyperty.Outcome
}

func hear(h *hyperty.Hyperty) *hearing {
	one := &hearing{changed: make(chan struct{}, 1), heard: map[string][]hyperty.Outcome{}}
	h.HandleResponses(func(_ context.Context, m message.Message) {
		o, err := hyperty.OutcomeOf(m)
		if err != nil {
			o.Reason = err.Error()
		}
		one.mu.Lock()
		one.heard[m.ID.String()] = append(one.heard[m.ID.String()], o)
		one.mu.Unlock()
		select {
		case one.changed <- struct{}{}:
		default:
		}
	})
	return one
}

// wait waits until something has been heard of so many messages.
func (h *hearing) wait(t *testing.T, count int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longtest.Hung)
	defer cancel()
	for {
		h.mu.Lock()
		n := len(h.heard)
		h.mu.Unlock()
		if n >= count {
			return
		}
		select {
		case <-h.changed:
		case <-ctx.Done():
			t.Fatalf("something is heard of %d of %d messages", n, count)
		}
	}
}

// A runtime gets SIGTERM while messages wait, for a handler that has not returned. The applications that live on, behind the other
// runtime or behind the one that ends, hear of each message that they have sent and not tracked, once: that it is refused or in doubt.
func TestMessagesUnderWayAtSIGTERM(t *testing.T) {
	t.Parallel()
	h := newProcesses(t)
	for _, ends := range []string{"receiver's", "sender's"} {
		at, from := h.runtime("a" + ends[:1])
		to, receiving := h.runtime("b" + ends[:1])
		receiver, sender := h.register(receiving, "receiver-"+ends[:1]), h.register(from, "sender-"+ends[:1])
		began := make(chan struct{}, 1)
		receiver.Handle(func(ctx context.Context, _ hyperty.Received) {
			select {
			case began <- struct{}{}:
			default:
			}
			<-ctx.Done()
		})
		heard := hear(sender)
		const count = 300
		for i := range count {
			if err := sender.Send(t.Context(), receiver.URL(), i); err != nil {
				t.Fatal(err)
			}
		}
		<-began
		for deadline := time.Now().Add(longtest.Hung); ; {
			if s := h.status(from).Sessions; len(s) == 1 && s[0].Unacknowledged == 0 && s[0].Outstanding >= count-1 {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("the messages have not left: %+v", s)
			}
		}
		ending := to
		if ends == "sender's" {
			ending = at
		}
		since := time.Now()
		if err := ending.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		heard.wait(t, count)
		took := time.Since(since)
		_ = ending.Wait() // it may say that a handler has not returned
		heard.mu.Lock()
		states := map[hyperty.DeliveryState]int{}
		for id, list := range heard.heard {
			if states[list[0].State]++; len(list) > 1 {
				t.Errorf("%s runtime: of message %s is heard %v", ends, id, list)
			}
		}
		heard.mu.Unlock()
		t.Logf("%s runtime: %v, %v", ends, took.Round(time.Millisecond), states)
		if states[hyperty.Refused]+states[hyperty.InDoubt] != count {
			t.Errorf("%s runtime: %v", ends, states)
		}
	}
}
