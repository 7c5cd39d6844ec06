package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// side is one runtime with its application.
type side struct {
	name, domain string
	node, self   *process
	url          message.URL // of the runtime
	socket       string
	trace        string // the file that the runtime's events go to
	client       *hyperty.Client
	app          *hyperty.Hyperty
	got          *ledger
}

// world is everything that runs.
type world struct {
	options
	dir   string
	bin   binaries
	say   func(format string, args ...any)
	nodes map[string]*process // by domain
	urls  map[string]string   // of the nodes
	sides [2]*side            // alice, bob
}

func (w *world) start(ctx context.Context) error {
	domains := [2]string{"example.com", "example.com"}
	if w.domains == 2 {
		domains = [2]string{"a.example", "b.example"}
	}
	w.nodes, w.urls = map[string]*process{}, map[string]string{}
	for _, domain := range domains {
		if err := w.startNode(ctx, domain); err != nil {
			return err
		}
	}
	for i, name := range [2]string{"alice", "bob"} {
		s := &side{name: name, domain: domains[i], node: w.nodes[domains[i]]}
		w.sides[i] = s
		if err := w.startRuntime(ctx, s); err != nil {
			return err
		}
		w.say("%-5s %s (pid %d)", name, s.url, s.self.cmd.Process.Pid)
	}
	return nil
}

func (w *world) startNode(ctx context.Context, domain string) error {
	if w.nodes[domain] != nil {
		return nil
	}
	base := filepath.Join(w.dir, "node-"+domain)
	p, err := w.launch(ctx, "Message Node of "+domain, base+".log", w.bin.node,
		"run", "--listen", "127.0.0.1:0", "--domain", domain, "--data", base, "--trace", base+".trace")
	if err != nil {
		return err
	}
	w.nodes[domain] = p
	var url, shown string
	if n, err := fmt.Sscanf(p.line, "listening on %s domain %s", &url, &shown); n != 2 {
		return fmt.Errorf("the Message Node said %q: %w", p.line, err)
	}
	w.urls[domain] = url
	w.say("node  %s (pid %d)", url, p.cmd.Process.Pid)
	return nil
}

func (w *world) startRuntime(ctx context.Context, s *side) error {
	base := filepath.Join(w.dir, s.name)
	s.socket, s.trace = base+".sock", base+".trace"
	var b strings.Builder
	fmt.Fprintf(&b, "domain: %s\nnodes:\n", s.domain)
	for domain, url := range w.urls {
		fmt.Fprintf(&b, "  %s: %s\n", domain, url)
	}
	fmt.Fprintf(&b, "data: %s\nplugins: {dir: %s, use: [%s]}\napi: {socket: %s}\ntrace: %s\n",
		base, w.bin.plugins, strings.TrimPrefix(w.transport, relay), s.socket, s.trace)
	if s.name == "bob" { // so that the roles are those of the figures: Alice requests, Bob handles
		b.WriteString("p2p: {policy: never}\n")
	}
	config := base + ".yaml"
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		return err
	}
	p, err := w.launch(ctx, "runtime "+s.name, base+".log", w.bin.runtime, "run", "--config", config)
	if err != nil {
		return err
	}
	s.self = p
	if _, err := fmt.Sscanf(p.line, "runtime %s ready,", (*string)(&s.url)); err != nil {
		return fmt.Errorf("the runtime said %q: %w", p.line, err)
	}
	if s.client, err = hyperty.Dial(ctx, hyperty.Options{Socket: s.socket}); err != nil {
		return err
	}
	s.app, err = s.client.Register(ctx, hyperty.Registration{Name: s.name})
	return err
}

// launch starts a process, which outlives the quickstart only where that was asked for.
func (w *world) launch(ctx context.Context, name, log, binary string, args ...string) (*process, error) {
	return start(ctx, name, log, !w.keep, binary, args...)
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
	for _, s := range w.sides {
		if s != nil && s.self != nil {
			s.self.stop()
		}
	}
	for _, p := range w.nodes {
		p.stop()
	}
	return errors.Join(errs...)
}

// leave puts an application that echoes into each place of the quickstart's own, which end with it, and says how to
// look at what is left running.
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
		pids += fmt.Sprintf(" %d %d", pid, s.self.cmd.Process.Pid)
	}
	for _, p := range w.nodes {
		pids += fmt.Sprint(" ", p.cmd.Process.Pid)
	}
	alice, bob := w.sides[0], w.sides[1]
	w.say("\nleft running; look at it with")
	w.say("  %s status --socket %s", w.bin.runtime, alice.socket)
	w.say("  %s status --socket %s", w.bin.runtime, bob.socket)
	w.say("  %s path --socket %s %s", w.bin.runtime, alice.socket, bob.app.URL())
	w.say("  %s send --wait --socket %s %s hello", w.bin.runtime, alice.socket, bob.app.URL())
	w.say("and end it with\n  kill%s; rm -r %s", pids, w.dir)
	return nil
}

// echo starts an application that answers what it gets, and waits until it is registered.
func (w *world) echo(ctx context.Context, s *side) (pid int, err error) {
	log, err := os.Create(filepath.Join(w.dir, s.name+"-app.log"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(w.bin.runtime, "listen", "--echo", "--socket", s.socket, s.name)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid // Release forgets it
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for ctx.Err() == nil {
		status, err := w.status(ctx, s)
		if err == nil && len(status.Hyperties) > 0 {
			return pid, cmd.Process.Release()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return 0, fmt.Errorf("application %s is not there: %w", s.name, errors.Join(ctx.Err(), cmd.Process.Kill()))
}
