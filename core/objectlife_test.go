package core_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// reportAt is a variable of the environment: this program is an application then, which reports an object at the runtime with that
// socket; reportAs is the object, as JSON.
const (
	reportAt = "PROTOFLY_TEST_REPORT_AT"
	reportAs = "PROTOFLY_TEST_REPORT_AS"
)

// reportObject is an application: it has the hyperty alice and an object. It says on its standard output what the object is, and sets
// the attribute n to each number that it is told.
func reportObject(socket string) int {
	ctx := context.Background()
	fail := func(err error) int {
		fmt.Println("error", err)
		return 1
	}
	var o syncher.Object
	if err := json.Unmarshal([]byte(os.Getenv(reportAs)), &o); err != nil {
		return fail(err)
	}
	client, err := hyperty.Dial(ctx, hyperty.Options{Socket: socket})
	if err != nil {
		return fail(err)
	}
	alice, err := client.Register(ctx, hyperty.Registration{Name: "alice"})
	if err != nil {
		return fail(err)
	}
	r, err := alice.Objects().Create(ctx, o)
	if err != nil {
		return fail(err)
	}
	fmt.Println("object", r.URL(), r.Reclaimed(), string(r.Value()), len(r.Observers()))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		err := r.Set(ctx, "n", json.RawMessage(in.Text()))
		fmt.Println("set", err)
	}
	if err := client.Close(ctx); err != nil {
		return fail(err)
	}
	return 0
}

// reporter is such an application.
type reporter struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	first string // what it has said of its object
}

func startReporter(t *testing.T, socket string, o syncher.Object) *reporter {
	t.Helper()
	r := &reporter{t: t, cmd: exec.Command(os.Args[0])}
	r.cmd.Env = append(os.Environ(), reportAt+"="+socket, reportAs+"="+string(message.Encode(o)))
	r.cmd.Stderr = logWriter{t, "reporter"}
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewReader(out)
	t.Cleanup(r.kill)
	if r.first = r.line(); !strings.HasPrefix(r.first, "object ") {
		t.Fatalf("the reporter said %q", r.first)
	}
	return r
}

func (r *reporter) line() string {
	r.t.Helper()
	line, err := r.out.ReadString('\n')
	if err != nil {
		r.t.Fatalf("the reporter said %q: %v", line, err)
	}
	return strings.TrimSpace(line)
}

func (r *reporter) set(n int) {
	r.t.Helper()
	fmt.Fprintln(r.in, n)
	if got := r.line(); got != "set <nil>" {
		r.t.Fatalf("n = %d: %s", n, got)
	}
}

// kill kills the reporter with -9.
func (r *reporter) kill() {
	if r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
}

// want reads changes until one is as wanted. It returns that.
func (r replica) want(what string, within time.Duration, match func(syncher.Change) bool) syncher.Change {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		c, err := r.Next(ctx)
		if err != nil {
			r.t.Fatalf("%s: %v; value %s, version %d", what, err, r.Value(), r.Version())
		}
		if match(c) {
			return c
		}
		if c.Deleted {
			r.t.Fatalf("%s: the object is gone: %q", what, c.End)
		}
	}
}

func isAway(c syncher.Change) bool { return c.Operation == syncher.OpAway }

// until reads changes until n is that, and the reporter is there.
func (r replica) until(n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		var v struct{ N int }
		_ = json.Unmarshal(r.Value(), &v)
		if _, away := r.Away(); v.N == n && !away {
			return
		}
		if c, err := r.Next(ctx); err != nil || c.Deleted {
			r.t.Fatalf("n = %d: change %+v, %v; value %s", n, c, err, r.Value())
		}
	}
}

// board is a kept object that is never given up.
var board = syncher.Object{Scheme: "comm", ID: "board", Data: json.RawMessage(`{"n":0}`), Keep: true}

// The application of a reporter is killed with -9, and its next process has the object again: with its value and the observers of before,
// here and in another runtime, over the relay and over a direct path.
func TestAKilledReporterIsBack(t *testing.T) {
	t.Parallel()
	build(t)
	for _, use := range [][]string{{}, {oneTransport(t)}} {
		node := startNode(t, "example.com")
		a := startProcess(t, shortDir(t), node, fmt.Sprintf("plugins: {use: [%s]}", strings.Join(use, ",")))
		b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use})
		app := startReporter(t, a.socket, board)
		if app.first != `object comm://example.com/board false {"n":0} 0` {
			t.Fatal(app.first)
		}
		observers := []replica{observe(t, b.register("bob"), "comm://example.com/board"), observe(t, dialHyperty(t, a.socket, "near"), "comm://example.com/board")}
		for round := 1; round <= 3; round++ {
			app.set(round)
			for _, o := range observers {
				o.until(round)
			}
			app.kill()
			for _, o := range observers {
				o.want("the reporter is away", waitTime, isAway)
			}
			app = startReporter(t, a.socket, board)
			if want := fmt.Sprintf(`object comm://example.com/board true {"n":%d} 2`, round); app.first != want {
				t.Fatalf("%s, want %s", app.first, want)
			}
			for _, o := range observers {
				o.until(round)
			}
		}
		app.kill()
	}
}

func observe(t testing.TB, h *hyperty.Hyperty, url message.URL) replica {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	o, err := h.Objects().Observe(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	return replica{t, o}
}

func dialHyperty(t testing.TB, socket, name string) *hyperty.Hyperty {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	client, err := hyperty.Dial(ctx, hyperty.Options{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = client.Close(ctx)
	})
	h, err := client.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Application, runtime and node are killed with -9, in each order, and come back in each order: the object is there with its value, and
// its observers go on.
func TestLongWhateverIsKilled(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	build(t)
	for _, use := range [][]string{{}, {oneTransport(t)}} {
		node := startNode(t, "example.com")
		dir := shortDir(t)
		lines := fmt.Sprintf("plugins: {use: [%s]}", strings.Join(use, ","))
		a := startProcess(t, dir, node, lines)
		b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use})
		app := startReporter(t, a.socket, board)
		o := observe(t, b.register("bob"), "comm://example.com/board")
		n := 0
		for _, order := range orders("app", "runtime", "node") {
			n++
			app.set(n)
			o.until(n)
			for _, what := range order {
				switch what {
				case "app":
					app.kill()
				case "runtime":
					_ = a.cmd.Process.Kill()
					_ = a.cmd.Wait()
				case "node":
					node.kill()
				}
			}
			for _, what := range order { // what was killed first is back first, as far as one needs the other
				switch what {
				case "node":
					node.start()
				case "runtime":
					a = startProcess(t, dir, node, lines)
				}
			}
			app = startReporter(t, a.socket, board)
			if want := fmt.Sprintf(`object comm://example.com/board true {"n":%d} `, n); !strings.HasPrefix(app.first, want) {
				t.Fatalf("%v: %s, want %s", order, app.first, want)
			}
			begin := time.Now()
			n++
			app.set(n)
			o.until(n)
			t.Logf("%v: the observer has the value %v after the reporter's return", order, time.Since(begin))
		}
		app.kill()
	}
}

func orders(list ...string) (all [][]string) {
	if len(list) == 1 {
		return [][]string{list}
	}
	for i, first := range list {
		rest := append(append([]string{}, list[:i]...), list[i+1:]...)
		for _, o := range orders(rest...) {
			all = append(all, append([]string{first}, o...))
		}
	}
	return all
}

// The application and its runtime are killed and never come back: an observer elsewhere is told within a minute that the reporter is
// away, and when the object is gone.
func TestLongAnObjectOfADeadRuntimeIsGone(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	node := startNode(t, "example.com")
	a := startProcess(t, shortDir(t), node)
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	app := startReporter(t, a.socket, syncher.Object{Scheme: "comm", ID: "board", Grace: 10 * time.Second, Data: json.RawMessage(`{}`)})
	o := observe(t, b.register("bob"), "comm://example.com/board")
	died := time.Now()
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
	app.kill()
	c := o.want("the reporter is away", 70*time.Second, isAway)
	t.Logf("told after %v that the reporter is away since %v before its death", time.Since(died), died.Sub(c.Since))
	end := o.want("the end", 6*time.Minute, func(c syncher.Change) bool { return c.Deleted })
	if end.End != syncher.EndExpired || time.Since(died) > 6*time.Minute {
		t.Errorf("the end %q after %v", end.End, time.Since(died))
	}
}
