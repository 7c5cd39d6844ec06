//go:build unix

package stubhost_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const runtimeURL message.URL = "hyperty-runtime://example.com/r1"

// core stands for the runtime's core: it answers nothing and keeps everything.
type core struct {
	t    testing.TB
	host *stubhost.Host
	bus  *minibus.Requests

	mu       sync.Mutex
	messages []message.Message
	frames   map[message.URL][]string
	changed  chan struct{}
	hold     map[message.URL]chan struct{} // doors whose frames block
}

var checksum = sync.OnceValue(func() string {
	f, err := os.Open(self())
	if err != nil {
		panic(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		panic(err)
	}
	return hex.EncodeToString(h.Sum(nil))
})

func self() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

func installed(name string) stubhost.Plugin {
	return stubhost.Plugin{Name: name, Path: self(), SHA256: checksum()}
}

func newCore(t testing.TB, change func(*stubhost.Options)) *core {
	c := &core{t: t, bus: &minibus.Requests{Timeout: longtest.Hung}, frames: map[message.URL][]string{}, changed: make(chan struct{}),
		hold: map[message.URL]chan struct{}{}}
	o := stubhost.Options{Dir: filepath.Join(t.TempDir(), "h"), Message: c.message, Frames: c.data,
		Env: []string{"GORACE=atexit_sleep_ms=0"}, // else each process takes a second to exit under the race detector
		Log: hclog.New(&hclog.LoggerOptions{Output: testLog{t}, Level: hclog.Debug})}
	o.Users = usersOfTests()
	if change != nil {
		change(&o)
	}
	var err error
	if c.host, err = stubhost.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.host.Close(ctx); err != nil {
			t.Error(err)
		}
		c.bus.Close()
	})
	return c
}

// separately is the environment variable that makes tests run their plug-ins under user IDs of their own. Without it only the
// sandbox protects the files.
const separately = "PLUGINS_SEPARATELY"

func usersOfTests() sandbox.Users {
	if os.Getenv(separately) == "" {
		return sandbox.Users{Mode: sandbox.Off}
	}
	return sandbox.Users{Mode: sandbox.Required}
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	if testing.Verbose() {
		l.t.Logf("%s", strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

func (c *core) message(_ context.Context, stub message.URL, m message.Message) error {
	if c.bus.Answer(m) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, m)
	c.change()
	return nil
}

func (c *core) data(ctx context.Context, stub, door message.URL, frames []sdk.Frame) bool {
	c.mu.Lock()
	hold := c.hold[door]
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		c.frames[door] = append(c.frames[door], string(f.Payload))
	}
	c.change()
	return true
}

func (c *core) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// until waits for a condition that messages or frames bring about.
func (c *core) until(what string, ok func() bool) {
	c.t.Helper()
	late := time.After(time.Minute) // only a faulty test waits so long
	for {
		c.mu.Lock()
		done, changed := ok(), c.changed
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("waited in vain for %s; messages: %s", what, texts(c.messages))
		}
	}
}

func texts(all []message.Message) (out []string) {
	for _, m := range all {
		out = append(out, fmt.Sprintf("%s %s %s", m.From, m.Type, m.Body))
	}
	return out
}

// statuses is what a stub has posted so far, as "value resource". Like started, it is called by the condition of until, which
// has locked c.
func (c *core) statuses(stub message.URL) (out []string) {
	for _, m := range c.messages {
		var b struct{ Value, Resource string }
		if m.To == stub.Join("status") && m.Decode(&b) == nil {
			out = append(out, strings.TrimSpace(b.Value+" "+b.Resource))
		}
	}
	return out
}

// started is how often the stub has reported that it is created.
func (c *core) started(stub message.URL) (n int) {
	for _, s := range c.statuses(stub) {
		if s == "created" {
			n++
		}
	}
	return n
}

func stubURL(id string) message.URL { return runtimeURL.Join("protostub", id) }

// deploy deploys a stub. An echo has reported that it is created when deploy returns: it listens before it does so, and an
// order that comes earlier could end it before it reports.
func (c *core) deploy(name string, url message.URL) {
	c.t.Helper()
	c.mu.Lock()
	before := c.started(url)
	c.mu.Unlock()
	in := stubhost.Instance{URL: url, Runtime: runtimeURL, Role: sdk.RoleNode, Domain: "example.com", Config: json.RawMessage(`{"a":1}`)}
	if err := c.host.Deploy(c.t.Context(), installed(name), in); err != nil {
		c.t.Fatal(err)
	}
	if name == "echo" {
		c.until("the stub to be created", func() bool { return c.started(url) > before })
	}
}

// tell executes a method of the echo stub and returns its answer.
func (c *core) tell(stub message.URL, body map[string]any) json.RawMessage {
	c.t.Helper()
	m := message.Message{Type: message.Execute, From: runtimeURL.Join("registry"), To: stub, Body: message.Encode(body)}
	post := func(ctx context.Context, m message.Message) error { return c.host.Post(ctx, stub, m) }
	ctx, cancel := context.WithTimeout(c.t.Context(), longtest.Hung)
	defer cancel()
	answer, err := c.bus.Do(ctx, m, post, nil)
	if err != nil {
		c.t.Fatalf("%v: %v", body, err)
	}
	value, err := answer.OK()
	if err != nil {
		c.t.Fatalf("%v: %v", body, err)
	}
	return value
}

// order makes the stub do something that it does not answer.
func (c *core) order(stub message.URL, method string) {
	c.t.Helper()
	m := message.Message{ID: message.NumberID(1 << 40), Type: message.Execute, From: runtimeURL.Join("registry"), To: stub,
		Body: message.Encode(map[string]any{"method": method})}
	if err := c.host.Post(c.t.Context(), stub, m); err != nil {
		c.t.Fatal(err)
	}
}

func (c *core) pid(stub message.URL) (pid int, restarted bool) {
	c.t.Helper()
	var b struct {
		PID       int
		Restarted bool
	}
	if err := json.Unmarshal(c.tell(stub, map[string]any{"method": "pid"}), &b); err != nil {
		c.t.Fatal(err)
	}
	return b.PID, b.Restarted
}

// alive tells whether a process runs: a zombie does not, nor, on Linux, one that is exiting.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	const exiting = 4 // the kernel's PF_EXITING, in the 7th field behind the name
	var flags int
	if fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(fields) > 6 {
		flags, _ = strconv.Atoi(fields[6])
	}
	return !strings.Contains(string(stat), ") Z ") && flags&exiting == 0
}

// untilDead waits for a process that is not the test's own child.
func untilDead(t testing.TB, pid int) {
	t.Helper()
	for range 2000 {
		if !alive(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond) // there is no event: it is not this process's child
	}
	t.Fatalf("process %d still runs", pid)
}

func TestMessagesAndFramesGoBothWays(t *testing.T) {
	c := newCore(t, nil)
	a, b := stubURL("a"), stubURL("b")
	c.deploy("echo", a)
	c.deploy("echo", b)
	pidA, restarted := c.pid(a)
	pidB, _ := c.pid(b)
	if pidA != pidB || restarted {
		t.Fatalf("two stubs of a plug-in run in processes %d and %d, restarted %t", pidA, pidB, restarted)
	}
	var want []string
	for n := range 1000 {
		text := fmt.Sprint("frame ", n)
		want = append(want, text)
		if err := c.host.Send(t.Context(), a, a, sdk.Frame{Peer: "hyperty-runtime://example.com/r2", Payload: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	c.until("the echo", func() bool { return len(c.frames[a]) == len(want) })
	if !slices.Equal(c.frames[a], want) {
		t.Error("the frames came back in another order")
	}
	if len(c.frames[b]) != 0 {
		t.Error("a stub got the frames of another")
	}
	state := c.host.Plugins()
	if len(state) != 1 || state[0].State != stubhost.Running || state[0].PID != pidA || len(state[0].Instances) != 2 || state[0].Version != "1.2.3" {
		t.Errorf("state: %+v", state)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "h")
	c := newCore(t, func(o *stubhost.Options) { o.Dir = dir })
	a := stubURL("a")
	c.deploy("echo", a)
	pid, _ := c.pid(a)
	var child int
	if err := json.Unmarshal(c.tell(a, map[string]any{"method": "child"}), &child); err != nil {
		t.Fatal(err)
	}
	if err := c.host.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("the plug-in still runs")
	}
	untilDead(t, child)
	if left, _ := filepath.Glob(dir + "/s*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if got := c.statuses(a); !slices.Equal(got, []string{"created", "disconnected"}) {
		t.Errorf("statuses at an orderly end: %v", got)
	}
	err := c.host.Deploy(t.Context(), installed("echo"), stubhost.Instance{URL: a, Runtime: runtimeURL})
	if !errors.Is(err, stubhost.ErrClosed) {
		t.Errorf("deploy after close: %v", err)
	}
}
