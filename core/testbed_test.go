package core_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/gobuild"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// The system tests run real processes: the Message Node and the plug-ins, built once. The runtimes are in this process. The
// names of the transports are data here, as everywhere in core.

var built struct {
	once         sync.Once
	err          error
	dir          string
	node         string   // executable of the Message Node
	runtime      string   // executable of the runtime
	plugins      string   // folder
	transportIDs []string // names of the P2P plug-ins
}

func TestMain(m *testing.M) {
	if socket := os.Getenv(deafVariable); socket != "" {
		beDeaf(socket)
	}
	if socket := os.Getenv(reportAt); socket != "" {
		os.Exit(reportObject(socket))
	}
	if words := strings.Fields(os.Getenv(applicationVariable)); len(words) == 4 {
		beApplication(words)
	}
	longtest.Parallel(8)
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// build compiles the node and every plug-in of this project, once.
func build(t testing.TB) {
	t.Helper()
	built.once.Do(func() { built.err = buildAll() })
	if built.err != nil {
		t.Fatal(built.err)
	}
}

func buildAll() (err error) {
	if built.dir, err = os.MkdirTemp("", "pf-core-"); err != nil {
		return err
	}
	bin := filepath.Join(built.dir, "bin")
	built.plugins = filepath.Join(built.dir, "plugins")
	programs := []string{"cmd/msgnode", "cmd/runtime", "examples/transport-tcp"}
	folders, err := filepath.Glob("../plugins/*/main.go")
	if err != nil {
		return err
	}
	for _, main := range folders {
		programs = append(programs, "plugins/"+filepath.Base(filepath.Dir(main)))
	}
	if err := gobuild.Programs(context.Background(), bin, programs...); err != nil {
		return err
	}
	built.node, built.runtime = filepath.Join(bin, "msgnode"), filepath.Join(bin, "runtime")
	entries, err := os.ReadDir(bin)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "msgnode" || e.Name() == "runtime" {
			continue
		}
		d, err := catalogue.Install(context.Background(), filepath.Join(bin, e.Name()), built.plugins)
		if err != nil {
			return err
		}
		if d.Kind == "p2p" {
			built.transportIDs = append(built.transportIDs, d.Name)
		}
	}
	return nil
}

// eachTransport runs the test with every P2P plug-in: nothing in it may depend on which.
func eachTransport(t *testing.T, test func(t *testing.T, transport string)) {
	t.Run(oneTransport(t), func(t *testing.T) { test(t, oneTransport(t)) })
	otherTransports(t, test)
}

// oneTransport is the P2P plug-in for tests that need only one.
func oneTransport(t testing.TB) string {
	t.Helper()
	build(t)
	return built.transportIDs[0]
}

// otherTransports runs the test with all P2P plug-ins but oneTransport's.
func otherTransports(t *testing.T, test func(t *testing.T, transport string)) {
	build(t)
	if len(built.transportIDs) < 3 {
		t.Fatalf("P2P plug-ins %v: want at least three", built.transportIDs)
	}
	for _, name := range built.transportIDs[1:] {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

// nodeProcess is a Message Node.
type nodeProcess struct {
	t           testing.TB
	domain, url string
	dir, listen string
	env         []string // besides this process's
	cmd         *exec.Cmd
}

// startNode starts a Message Node for domain at a free port, with variables of its environment.
func startNode(t testing.TB, domain string, env ...string) *nodeProcess {
	t.Helper()
	build(t)
	n := &nodeProcess{t: t, domain: domain, dir: shortDir(t), listen: freeAddress(t), env: env}
	n.start()
	t.Cleanup(n.stop)
	return n
}

// start starts the node, again at its address and with its state.
func (n *nodeProcess) start() {
	n.t.Helper()
	n.cmd = exec.Command(built.node, "run", "--listen", n.listen, "--domain", n.domain, "--data", n.dir, "--log-level", "warn")
	n.cmd.Env = append(os.Environ(), n.env...)
	n.cmd.Stderr = logWriter{n.t, "node"}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, err2 := fmt.Sscanf(line, "listening on %s", &n.url); err != nil || err2 != nil {
		n.t.Fatalf("the node said %q: %v %v", line, err, err2)
	}
}

// kill ends the node at once.
func (n *nodeProcess) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}

func (n *nodeProcess) stop() {
	if n.cmd.ProcessState != nil {
		return
	}
	_ = n.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { defer close(done); _ = n.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(waitTime):
		n.t.Error("the node does not end")
		_ = n.cmd.Process.Kill()
		<-done
	}
}

// logWriter shows what a process or a runtime logs when the test fails.
type logWriter struct {
	t    testing.TB
	name string
}

func (w logWriter) Write(b []byte) (int, error) {
	if testing.Verbose() {
		fmt.Fprintf(os.Stderr, "[%s] %s", w.name, b)
	}
	return len(b), nil
}

// home is a loopback address on which no other process uses ports, if there is more than one such address.
func home() net.IP {
	pid := os.Getpid()
	if runtime.GOOS != "linux" {
		return net.IPv4(127, 0, 0, 1)
	}
	return net.IPv4(127, byte(64|pid>>16&63), byte(pid>>8), byte(pid|1))
}

// shortDir is a folder whose path is short enough for the names of sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pf-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// given are the addresses that freeAddress has returned.
var given sync.Map

// freeAddress returns an address at which a process can listen a little later, or again: no other process uses it, nor do the
// tests that run at the same time.
func freeAddress(t testing.TB) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", home().String()+":0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		if _, taken := given.LoadOrStore(l.Addr().String(), true); !taken {
			return l.Addr().String()
		}
	}
}

// runtimeOptions are the options that a test may change.
type runtimeOptions struct {
	name   string
	domain string         // "": the first node's
	nodes  []*nodeProcess // in its configuration
	use    []string       // P2P plug-ins
	policy string         // ""
	change func(*core.Config)
}

// running is a runtime with all its events.
type running struct {
	*core.Runtime
	t   testing.TB
	dir string // of its data

	mu      sync.Mutex
	events  []trace.Event
	arrived chan struct{} // closed and replaced with every event
}

func startRuntime(t testing.TB, o runtimeOptions) *running {
	t.Helper()
	build(t)
	r := &running{t: t, arrived: make(chan struct{})}
	c := core.Config{
		Domain: o.domain, Nodes: map[string]string{}, DataDir: shortDir(t), PluginDir: built.plugins,
		P2P: core.P2P{Use: o.use, Policy: o.policy}, Trace: r.note, TraceBodies: true,
		Log: hclog.New(&hclog.LoggerOptions{Name: o.name, Level: hclog.Warn, Output: logWriter{t, o.name}}),
	}
	for _, n := range o.nodes {
		c.Nodes[n.domain] = n.url
		if c.Domain == "" {
			c.Domain = n.domain
		}
	}
	if o.change != nil {
		o.change(&c)
	}
	rt, err := core.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.Runtime, r.dir = rt, c.DataDir
	beds.add(t, r)
	t.Cleanup(func() { closeAll(beds.take(t)) })
	return r
}

// onLoopback allows that nodes of domains which no configuration names are on this machine.
func onLoopback(c *core.Config) { c.Networks = []string{networks.Loopback} }

func (r *running) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*waitTime)
	defer cancel()
	if err := r.Close(ctx); err != nil && !strings.Contains(err.Error(), "not acknowledged") {
		r.t.Errorf("close %s: %v", r.URL(), err)
	}
}

func (r *running) note(e trace.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	close(r.arrived)
	r.arrived = make(chan struct{})
}

// forget drops the events so far.
func (r *running) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// count is how many events so far match.
func (r *running) count(match func(trace.Event) bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if match(e) {
			n++
		}
	}
	return n
}

// await waits until an event matches.
func (r *running) await(what string, match func(trace.Event) bool) trace.Event {
	r.t.Helper()
	timeout := time.After(waitTime)
	seen := 0
	for {
		r.mu.Lock()
		seen = min(seen, len(r.events))
		for ; seen < len(r.events); seen++ {
			if match(r.events[seen]) {
				defer r.mu.Unlock()
				return r.events[seen]
			}
		}
		arrived := r.arrived
		r.mu.Unlock()
		select {
		case <-arrived:
		case <-timeout:
			r.t.Fatalf("%s: %s did not happen within %v", r.URL(), what, waitTime)
		}
	}
}

// waitTime bounds everything here that is not measured.
const waitTime = 45 * time.Second

// live waits until this side's connection with the other is live.
func (r *running) live(other *running) {
	r.t.Helper()
	r.await("live connection with "+string(other.URL()), func(e trace.Event) bool {
		return e.Kind == trace.Connection && e.Peer == other.URL() && e.Value == message.Live.String()
	})
}

// connections are the runtime's entries for the other.
func (r *running) connections(other *running) []api.Connection {
	r.t.Helper()
	s, err := r.Status(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	var list []api.Connection
	for _, c := range s.Connections {
		if c.Remote == other.URL() {
			list = append(list, c)
		}
	}
	return list
}

// register makes a hyperty.
func (r *running) register(name string) *hyperty.Hyperty {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	h, err := r.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		r.t.Fatalf("register %s: %v", name, err)
	}
	return h
}
