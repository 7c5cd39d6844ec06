package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/examples/bench/load"
	"github.com/protofly/protofly/sdk/message"
)

// Names of the contenders.
const (
	ours       = "protofly"
	oursSocket = "protofly, local API"
	rawQUIC    = "quic-go"
	rawPion    = "pion"
	rawGRPC    = "go-plugin gRPC"
	natsCore   = "NATS"
)

// pair is a contender that runs: who drives, who answers, and whom else they need.
type pair struct {
	name             string
	sender, receiver *load.Process // receiver is nil where it is a process of the sender
	runtimes         []*load.Process
	others           []*load.Process // ended last
}

// starter starts a contender.
type starter struct {
	name  string
	start func(ctx context.Context, p *pair) error
}

// begin starts it. Where that fails nothing is left.
func (s starter) begin(ctx context.Context) (*pair, error) {
	p := &pair{name: s.name}
	if err := s.start(ctx, p); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return p, nil
}

func (p *pair) processes() (list []*load.Process) {
	for _, c := range append([]*load.Process{p.sender, p.receiver}, append(p.runtimes, p.others...)...) {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

func (p *pair) stop() {
	for _, c := range p.processes() {
		c.Stop()
	}
}

// plain is a contender of two roles, the second of which is given the first's address.
func plain(name, receiver, sender string) starter {
	return starter{name, func(ctx context.Context, p *pair) (err error) {
		if p.receiver, err = load.Start(ctx, receiver, "role", receiver); err != nil {
			return err
		}
		p.sender, err = load.Start(ctx, sender, "role", sender, p.receiver.Addr)
		return err
	}}
}

func pionAlone() starter {
	return starter{rawPion, func(ctx context.Context, p *pair) (err error) {
		if p.receiver, err = load.Start(ctx, "pion-receiver", "role", "pion-receiver"); err != nil {
			return err
		}
		if p.sender, err = load.Start(ctx, "pion-sender", "role", "pion-sender"); err != nil {
			return err
		}
		answer, err := p.receiver.Do(ctx, load.Command{Do: "offer", Text: p.sender.Addr})
		if err != nil {
			return err
		}
		_, err = p.sender.Do(ctx, load.Command{Do: "answer", Text: answer.Text})
		return err
	}}
}

func grpcAlone() starter {
	return starter{rawGRPC, func(ctx context.Context, p *pair) (err error) {
		p.sender, err = load.Start(ctx, "grpc-sender", "role", "grpc-sender")
		return err
	}}
}

func natsAlone() starter {
	return starter{natsCore, func(ctx context.Context, p *pair) (err error) {
		s, err := load.Start(ctx, "nats-server", "role", "nats-server")
		if err != nil {
			return err
		}
		p.others = append(p.others, s)
		if p.receiver, err = load.Start(ctx, "nats-receiver", "role", "nats-receiver", s.Addr); err != nil {
			return err
		}
		p.sender, err = load.Start(ctx, "nats-sender", "role", "nats-sender", s.Addr)
		return err
	}}
}

// protofly is two runtimes that use the plug-ins named, none: the relay. The applications are in the runtimes'
// processes, or where socket is true in two more.
func (b *bench) protofly(socket bool, use ...string) starter {
	name := ours
	if socket {
		name = oursSocket
	}
	return starter{name, func(ctx context.Context, p *pair) error {
		receiver := b.newRuntime(socket, use)
		var err error
		if p.receiver, err = b.runtime(ctx, "ours-receiver", receiver); err != nil {
			return err
		}
		sender := b.newRuntime(socket, use)
		if !socket {
			app, runtime, _ := strings.Cut(p.receiver.Addr, " ")
			sender.Peer, sender.PeerRuntime = message.URL(app), message.URL(runtime)
			p.sender, err = b.runtime(ctx, "ours-sender", sender)
			return err
		}
		p.runtimes = append(p.runtimes, p.receiver)
		remote := p.receiver.Addr
		if p.receiver, err = load.Start(ctx, "application that receives", "role", "socket-receive", socketOf(receiver.Dir)); err != nil {
			return err
		}
		runtime, err := b.runtime(ctx, "ours-sender", sender)
		if err != nil {
			return err
		}
		p.runtimes = append(p.runtimes, runtime)
		if p.sender, err = load.Start(ctx, "application that sends", "role", "socket-send", socketOf(sender.Dir), p.receiver.Addr); err != nil || len(use) == 0 {
			return err
		}
		_, err = runtime.Do(ctx, load.Command{Do: "direct", Text: remote})
		return err
	}}
}

// newRuntime are the options of one more.
func (b *bench) newRuntime(socket bool, use []string) ourOptions {
	b.made++
	return ourOptions{Domain: domain, Node: b.node.URL, Dir: filepath.Join(b.dir, "rt"+strconv.Itoa(b.made)), Plugins: b.bin.Plugins, Use: use, Socket: socket}
}

func (b *bench) runtime(ctx context.Context, role string, o ourOptions) (*load.Process, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return load.Start(ctx, role, "role", role, string(text))
}

// used is what a contender's processes have used.
type used struct {
	cpu            time.Duration
	sent, received uint64 // allocations of the processes with the two cores, or of the baseline's two ends
	peak           uint64 // bytes resident, of all processes together
}

// cores are the processes with the runtimes of ours, the sender's first.
func (p *pair) cores() []*load.Process {
	if len(p.runtimes) == 2 {
		return []*load.Process{p.runtimes[1], p.runtimes[0]}
	}
	return []*load.Process{p.sender, p.receiver}
}

// usage asks all processes of a pair, and counts further ones in.
func (p *pair) usage(ctx context.Context, more ...int) (u used, err error) {
	pids := more
	for _, c := range p.processes() {
		one, err := c.Usage(ctx)
		if err != nil {
			return u, err
		}
		pids = append(pids, one.PIDs...)
		switch cores := p.cores(); c {
		case cores[0]:
			u.sent = one.Mallocs
		case cores[1]:
			u.received = one.Mallocs
		}
	}
	for _, pid := range pids {
		t, err := load.CPU(pid)
		if err != nil {
			return u, err
		}
		_, peak, err := load.Memory(pid)
		if err != nil {
			return u, err
		}
		u.cpu += t
		u.peak += peak
	}
	return u, nil
}
