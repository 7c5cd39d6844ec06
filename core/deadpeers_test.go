package core_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// journal is a log that is kept.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// lines are those from the n-th on.
func (j *journal) lines(n int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Collect(strings.Lines(j.text.String()))[n:]
}

// Three runtimes are killed with which applications of another one have messages, while these go on to send to them and to others, and
// register and unregister. The others notice nothing, and the log has ten lines a minute at most.
func TestDeadPeersAreQuiet(t *testing.T) {
	t.Parallel()
	deadPeers(t, 3, 20*time.Second, "")
}

// Ten runtimes are killed, with a direct path or on the relay, for so long that their sessions end.
func TestLongDeadPeersAreQuiet(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	for _, transport := range []string{"", oneTransport(t)} {
		t.Run("over "+transport, func(t *testing.T) {
			t.Parallel()
			deadPeers(t, 10, 6*time.Minute+30*time.Second, transport)
		})
	}
}

// crowd is a runtime that has talked with others.
type crowd struct {
	*running
	log       journal
	app       *hyperty.Client
	alice     *hyperty.Hyperty // of app
	bob       message.URL      // at a runtime that lives on
	processes []*process       // runtimes that do not
	others    []message.URL    // hyperties there
}

func newCrowd(t *testing.T, count int, transport string) *crowd {
	node := startNode(t, "example.com")
	o := runtimeOptions{name: "other", nodes: []*nodeProcess{node}, policy: "never"}
	policy := "p2p: {policy: never}"
	if transport != "" {
		o.use, o.policy, policy = []string{transport}, "", fmt.Sprintf("plugins: {use: [%s]}", transport)
	}
	bob := startRuntime(t, o).register("bob")
	answering(bob, "here")
	c := &crowd{bob: bob.URL()}
	o.name, o.change = "a", func(config *core.Config) {
		served(config)
		config.Log = hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: &c.log})
	}
	c.running = startRuntime(t, o)
	c.app = application(t, c.running)
	var err error
	if c.alice, err = c.app.Register(t.Context(), hyperty.Registration{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		p := startProcess(t, shortDir(t), node, policy)
		h, err := p.dial(t).Register(t.Context(), hyperty.Registration{Name: fmt.Sprintf("other%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		answering(h, "here")
		c.processes, c.others = append(c.processes, p), append(c.others, h.URL())
	}
	for _, to := range append(c.others, c.bob) {
		if code, why := ask(t, c.alice, message.Read, to, `{}`); code != 200 {
			t.Fatalf("%s: %d %s", to, code, why)
		}
	}
	return c
}

func deadPeers(t *testing.T, count int, over time.Duration, transport string) {
	c := newCrowd(t, count, transport)
	before := len(c.log.lines(0))
	for _, p := range c.processes {
		p.end(syscall.SIGKILL)
	}
	began := time.Now()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; time.Since(began) < over; i++ {
		d, err := c.alice.SendTracked(t.Context(), c.bob, message.Update, i)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := await(d); err != nil || o.State != hyperty.Delivered {
			t.Fatalf("to one that lives: %v, %v", o, err)
		}
		for _, to := range c.others {
			if time.Since(began) < over/4 { // it may have to wait, or be refused
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				_ = c.alice.Send(ctx, to, i)
				cancel()
			}
		}
		h, err := c.app.Register(t.Context(), hyperty.Registration{Name: fmt.Sprintf("passing%d", i)})
		if err == nil {
			err = h.Close(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		<-ticker.C
	}
	lines := c.log.lines(before)
	most := 10 * int((time.Since(began)+time.Minute-1)/time.Minute)
	t.Logf("%d lines in %v", len(lines), time.Since(began).Round(time.Second))
	if len(lines) > most {
		t.Errorf("%d lines, at most %d are to be: %s", len(lines), most, strings.Join(lines[:most], ""))
	}
	if s := c.status().Sessions; over > 6*time.Minute && len(s) != 1 {
		t.Errorf("sessions: %+v", s)
	}
}
