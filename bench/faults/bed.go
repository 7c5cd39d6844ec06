package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const (
	domain      = "example.com"
	paddingSize = 64               // bytes that each message carries besides the rest
	settleTime  = 40 * time.Second // the longest wait for the last messages, more than a message's time to live
	directTime  = 20 * time.Second // the longest wait for the first direct connection
)

// bed has the processes of one trial: a Message Node, two runtimes, and messages between two applications.
type bed struct {
	trial
	say    func(format string, args ...any)
	result *result
	house  rig.House
	net    *network // nil: the machine's network
	node   *rig.Node
	sides  [2]*side
	flows  [2]*flow // from each side to the other
	more   []*flow  // of further applications
	pids   map[process]string
	uneasy time.Duration  // the longest pause without a fault
	others []*rig.Process // processes besides the node and the runtimes

	nodeConfig        string // lines of the node's configuration
	nodeTrace         bool
	peer              malice // the preparation of attacks by a peer
	asked, unanswered int    // requests for a runtime's status, and those without an answer

	// Settings of the runtimes; "": the default.
	policies [2]string   // the policy for P2P connections
	plugins  [2]string   // folders of their plug-ins
	harmful  string      // a plug-in of alice's runtime that attacks it; "": there is none
	harm     time.Time   // when that attack begins
	config   [2]string   // lines of their configuration
	before   [2][]string // a command to put in front of each runtime's
	nodeURL  string      // a URL of the Message Node other than its own
}

// side is a runtime with its application.
type side struct {
	*rig.Runtime
	client *hyperty.Client
	app    *hyperty.Hyperty
	status *api.Client // nil: not connected
}

// try runs the trial and returns its result.
func (b *bed) try(ctx context.Context) *result {
	b.pids = map[process]string{}
	err := os.MkdirAll(b.house.Dir, 0o700)
	if err == nil {
		err = b.run(ctx, b)
	}
	var cannot *cannotError
	if errors.As(err, &cannot) {
		b.result.skipped = true
		b.result.fail("skipped: %v", cannot)
	} else if err != nil {
		b.result.fail("%v", err)
	}
	for _, f := range b.all() {
		if f.stop == nil {
			continue
		}
		if err := f.end(ctx, settleTime); err != nil {
			b.result.fail("%v", err)
		}
	}
	for _, f := range b.all() {
		f.enter(b.result)
	}
	b.close()
	b.result.close(b.rounds)
	return b.result
}

// cannotError says why this machine cannot run a case.
type cannotError struct{ why string }

func (e *cannotError) Error() string { return e.why }

// all returns every flow that was made.
func (b *bed) all() []*flow {
	return slices.DeleteFunc(append(b.flows[:len(b.flows):len(b.flows)], b.more...), func(f *flow) bool { return f == nil })
}

// start starts the node, the runtimes and the applications. In a trial over the relay no P2P plug-in runs.
func (b *bed) start(ctx context.Context, use ...string) error {
	if err := b.startNode(ctx); err != nil {
		return err
	}
	return b.startSides(ctx, use...)
}

func (b *bed) startNode(ctx context.Context) (err error) {
	b.node, err = b.house.Node(ctx, rig.NodeOptions{Domain: domain, Listen: b.net.listen(), In: b.net.in(nodePlace), Plain: b.net != nil, Trace: b.nodeTrace, More: b.nodeConfig})
	return err
}

func (b *bed) startSides(ctx context.Context, use ...string) error {
	for i, name := range [2]string{"alice", "bob"} {
		use := use
		if b.harmful != "" && i == 0 {
			use = append(slices.Clone(use), b.harmful)
		}
		b.sides[i] = &side{}
		err := b.startSide(ctx, b.sides[i], rig.RuntimeOptions{
			Name: name, Plugins: b.plugins[i], Use: use, In: append(b.net.in(name), b.before[i]...), Policy: b.policies[i], More: b.config[i],
		})
		if err != nil {
			return err
		}
	}
	for i := range b.flows {
		b.flows[i] = newFlow(b.sides[i].app, b.sides[1-i].app, max(b.rate/2, 1), paddingSize)
	}
	return nil
}

// startSide starts a runtime, and an application of its name.
func (b *bed) startSide(ctx context.Context, s *side, o rig.RuntimeOptions) (err error) {
	o.Domain, o.Nodes = domain, map[string]string{domain: cmp.Or(b.nodeURL, b.node.URL)}
	if s.Runtime, err = b.house.Runtime(ctx, o); err != nil {
		return err
	}
	if s.client, err = hyperty.Dial(ctx, hyperty.Options{Socket: s.Socket}); err != nil {
		return err
	}
	s.app, err = s.client.Register(ctx, hyperty.Registration{Name: o.Name})
	return err
}

// flow makes both applications send until the trial ends.
func (b *bed) flow(ctx context.Context) {
	for _, f := range b.flows {
		f.start(context.WithoutCancel(ctx))
	}
}

// use returns the plug-ins for the trial's transport.
func (b *bed) use() []string {
	if b.transport == relay {
		return nil
	}
	return []string{b.transport}
}

// watch begins to measure the pause of both directions.
func (b *bed) watch() (pause func() time.Duration) {
	one, other := b.flows[0].watch(), b.flows[1].watch()
	return func() time.Duration { return max(one(), other()) }
}

// wait lets the messages flow for a while.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// calm waits while nothing is broken. The longest pause in that time is a figure of the result: it shows pauses that the machine
// itself causes.
func (b *bed) calm(ctx context.Context, d time.Duration) error {
	pause := b.watch()
	err := wait(ctx, d)
	b.uneasy = max(b.uneasy, pause())
	b.result.figure("pause_without_fault_ms", milliseconds(b.uneasy))
	return err
}

// next waits until a message has come in both directions.
func (b *bed) next(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, f := range b.flows {
		if err := f.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ask returns the status of a side's runtime.
func (s *side) ask(ctx context.Context) (api.Status, error) {
	if s.status == nil {
		client, err := api.Dial(ctx, s.Socket)
		if err != nil {
			return api.Status{}, err
		}
		s.status = client
	}
	st, err := s.status.Status(ctx)
	if err != nil {
		_ = s.status.Close()
		s.status = nil
	}
	return st, err
}

const lookPause = 10 * time.Millisecond

// until waits until the status of both runtimes is as wanted. It notes the plug-ins' processes in it.
func (b *bed) until(ctx context.Context, what string, limit time.Duration, wanted func(self int, s api.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		met, shown := 0, ""
		for i, s := range b.sides {
			st, err := s.ask(ctx)
			if err == nil {
				b.notePlugins(s.Name, st)
			}
			if err == nil && wanted(i, st) {
				met++
			} else if shown += "; " + s.Name + ": "; err != nil {
				shown += err.Error()
			} else {
				shown += describe(st)
			}
		}
		if met == len(b.sides) {
			return nil
		}
		if wait(ctx, lookPause) != nil {
			return fmt.Errorf("%s: %w, within %v%s", what, errLate, limit, shown)
		}
	}
}

func describe(st api.Status) (text string) {
	for _, c := range st.Connections {
		text += fmt.Sprintf("connection over %s %s (%s) ", c.Plugin, c.State, c.Why)
	}
	for _, p := range st.Plugins {
		text += fmt.Sprintf("plug-in %s %s (%s) ", p.Name, p.State, p.LastError)
	}
	return text
}

// direct waits until both sides use a live connection over the plug-in that began after since.
func (b *bed) direct(ctx context.Context, plugin string, since time.Time, limit time.Duration) error {
	return b.until(ctx, "direct over "+plugin, limit, func(self int, st api.Status) bool {
		return isDirect(st, b.sides[1-self].URL, plugin, since)
	})
}

func isDirect(st api.Status, remote message.URL, plugin string, since time.Time) bool {
	for _, c := range st.Connections {
		if c.Remote == remote && c.Plugin == plugin && c.State == message.Live && c.Since.After(since) {
			for _, s := range st.Sessions {
				if s.Remote == remote && s.Door == c.Door {
					return true
				}
			}
		}
	}
	return false
}

// plugin returns the process of a side's plug-in.
func (b *bed) plugin(ctx context.Context, s *side, name string) (api.Plugin, error) {
	st, err := s.ask(ctx)
	if err != nil {
		return api.Plugin{}, err
	}
	b.notePlugins(s.Name, st)
	for _, p := range st.Plugins {
		if p.Name == name && p.PID != 0 {
			return p, nil
		}
	}
	return api.Plugin{}, fmt.Errorf("%s has no plug-in %s running", s.Name, name)
}

func (b *bed) notePlugins(side string, st api.Status) {
	for _, p := range st.Plugins {
		if p.PID != 0 {
			b.pids[identify(p.PID)] = side + "'s " + p.Name
		}
	}
}

// gone waits a little for the end of a process that should end. It tells whether it has ended.
func gone(ctx context.Context, p process) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for p.alive() {
		if wait(ctx, lookPause) != nil {
			return !p.alive()
		}
	}
	return true
}

// close ends everything, applications first, and checks that no process is left.
func (b *bed) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, s := range b.sides {
		if s == nil {
			continue
		}
		if s.client != nil {
			if err := s.client.Close(ctx); err != nil {
				b.result.fail("end %s's application: %v", s.Name, err)
			}
		}
		if s.status != nil {
			_ = s.status.Close()
		}
		if s.Runtime != nil && s.Process != nil {
			s.Stop()
		}
	}
	for _, p := range b.others {
		p.Stop()
	}
	if b.node != nil && b.node.Process != nil {
		b.node.Stop()
	}
	for p, name := range b.pids {
		if !gone(context.WithoutCancel(ctx), p) {
			b.result.fail("process %d of %s is left", p.pid, name)
		}
	}
	if err := b.net.close(); err != nil {
		b.result.fail("%v", err)
	}
}
