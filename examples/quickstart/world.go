package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/sdk/hyperty"
)

// side is one runtime with its application.
type side struct {
	*rig.Runtime
	node   *rig.Node
	client *hyperty.Client
	app    *hyperty.Hyperty
	got    *ledger
}

// world is everything that runs.
type world struct {
	options
	house rig.House
	say   func(format string, args ...any)
	nodes map[string]*rig.Node // by domain
	sides [2]*side             // alice, bob
}

func (w *world) start(ctx context.Context) error {
	domains := [2]string{"example.com", "example.com"}
	if w.domains == 2 {
		domains = [2]string{"a.example", "b.example"}
	}
	w.nodes = map[string]*rig.Node{}
	for _, domain := range domains {
		if w.nodes[domain] != nil {
			continue
		}
		n, err := w.house.Node(ctx, rig.NodeOptions{Domain: domain, Trace: true})
		if err != nil {
			return err
		}
		w.nodes[domain] = n
		w.say("node  %s (pid %d)", n.URL, n.PID())
	}
	for i, name := range [2]string{"alice", "bob"} {
		s, err := w.startSide(ctx, name, domains[i])
		w.sides[i] = s
		if err != nil {
			return err
		}
		w.say("%-5s %s (pid %d)", name, s.URL, s.PID())
	}
	return nil
}

// startSide starts a runtime and registers its application. What has been started when it fails is in the side.
func (w *world) startSide(ctx context.Context, name, domain string) (*side, error) {
	o := rig.RuntimeOptions{Name: name, Domain: domain, Nodes: map[string]string{}, Trace: true}
	for domain, n := range w.nodes {
		o.Nodes[domain] = n.URL
	}
	if w.transport != relay {
		o.Use = []string{w.transport}
	}
	if name == "bob" { // so that the roles are those of the figures: Alice requests, Bob handles
		o.Policy = "never"
	}
	s := &side{node: w.nodes[domain]}
	var err error
	if s.Runtime, err = w.house.Runtime(ctx, o); err != nil {
		return s, err
	}
	if s.client, err = hyperty.Dial(ctx, hyperty.Options{Socket: s.Socket}); err != nil {
		return s, err
	}
	s.app, err = s.client.Register(ctx, hyperty.Registration{Name: name})
	return s, err
}

// close ends everything, applications first.
func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var errs []error
	for _, s := range w.sides {
		if s != nil && s.client != nil {
			errs = append(errs, s.client.Close(ctx))
		}
	}
	var sides sync.WaitGroup // both at once, since each waits a moment for the other's last acknowledgements
	for _, s := range w.sides {
		if s != nil && s.Runtime != nil && s.Process != nil {
			sides.Go(s.Stop)
		}
	}
	sides.Wait()
	for _, p := range w.nodes {
		p.Stop()
	}
	return errors.Join(errs...)
}

// leave starts an application that echoes at each runtime, in place of the quickstart's own applications, which end with it. It
// prints how to use what is left running.
func (w *world) leave(ctx context.Context) error {
	pids := ""
	for _, s := range w.sides {
		if err := s.client.Close(ctx); err != nil {
			return err
		}
		pid, err := w.echo(ctx, s)
		if err != nil {
			return err
		}
		pids += fmt.Sprintf(" %d %d", pid, s.PID())
	}
	for _, p := range w.nodes {
		pids += fmt.Sprint(" ", p.PID())
	}
	alice, bob := w.sides[0], w.sides[1]
	w.say("\nleft running; look at it with")
	w.say("  %s status --socket %s", w.house.Bin.Runtime, alice.Socket)
	w.say("  %s status --socket %s", w.house.Bin.Runtime, bob.Socket)
	w.say("  %s path --socket %s %s", w.house.Bin.Runtime, alice.Socket, bob.app.URL())
	w.say("  %s send --wait --socket %s %s hello", w.house.Bin.Runtime, alice.Socket, bob.app.URL())
	w.say("try the other examples with these sockets, such as")
	w.say("  go run ./examples/tracked-delivery -socket %s -to %s", alice.Socket, bob.app.URL())
	w.say("and end it with\n  kill%s; rm -r %s", pids, w.house.Dir)
	return nil
}

// echoTimeout is how long an application that echoes may take to be registered.
const echoTimeout = 20 * time.Second

// echo starts an application that answers what it gets, and waits until it is registered.
func (w *world) echo(ctx context.Context, s *side) (pid int, err error) {
	log, err := os.Create(filepath.Join(w.house.Dir, s.Name+"-app.log"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(w.house.Bin.Runtime, "listen", "--echo", "--socket", s.Socket, s.Name)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid // Release forgets it
	ctx, cancel := context.WithTimeout(ctx, echoTimeout)
	defer cancel()
	for ctx.Err() == nil {
		status, err := s.Status(ctx)
		if err == nil && len(status.Hyperties) > 0 {
			return pid, cmd.Process.Release()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return 0, fmt.Errorf("application %s is not there: %w", s.Name, errors.Join(ctx.Err(), cmd.Process.Kill()))
}
