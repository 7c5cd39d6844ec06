package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/load"
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

func pionAlone() contest.Starter {
	return contest.Starter{Name: rawPion, Start: func(ctx context.Context, p *contest.Pair) (err error) {
		if p.Receiver, err = load.Start(ctx, "pion-receiver", "role", "pion-receiver"); err != nil {
			return err
		}
		if p.Sender, err = load.Start(ctx, "pion-sender", "role", "pion-sender"); err != nil {
			return err
		}
		answer, err := p.Receiver.Do(ctx, load.Command{Do: "offer", Text: p.Sender.Addr})
		if err != nil {
			return err
		}
		_, err = p.Sender.Do(ctx, load.Command{Do: "answer", Text: answer.Text})
		return err
	}}
}

func grpcAlone() contest.Starter {
	return contest.Starter{Name: rawGRPC, Start: func(ctx context.Context, p *contest.Pair) (err error) {
		p.Sender, err = load.Start(ctx, "grpc-sender", "role", "grpc-sender")
		return err
	}}
}

func natsAlone() contest.Starter {
	return contest.Starter{Name: natsCore, Start: func(ctx context.Context, p *contest.Pair) (err error) {
		s, err := load.Start(ctx, "nats-server", "role", "nats-server")
		if err != nil {
			return err
		}
		p.Others = append(p.Others, s)
		if p.Receiver, err = load.Start(ctx, "nats-receiver", "role", "nats-receiver", s.Addr); err != nil {
			return err
		}
		p.Sender, err = load.Start(ctx, "nats-sender", "role", "nats-sender", s.Addr)
		return err
	}}
}

// protofly starts two runtimes that use the named plug-ins; without any they use the relay. The applications are in the runtimes'
// processes, or, if socket is set, in two more.
func (b *bench) protofly(socket bool, use ...string) contest.Starter {
	name := ours
	if socket {
		name = oursSocket
	}
	return contest.Starter{Name: name, Start: func(ctx context.Context, p *contest.Pair) error {
		if len(use) == 0 {
			p.More = append(p.More, b.node.PID())
		}
		if socket {
			return b.startApart(ctx, p, use)
		}
		var err error
		if p.Receiver, err = b.runtime(ctx, "ours-receiver", b.newRuntime(use)); err != nil {
			return err
		}
		sender := b.newRuntime(use)
		app, runtime, _ := strings.Cut(p.Receiver.Addr, " ")
		sender.Peer, sender.PeerRuntime = message.URL(app), message.URL(runtime)
		p.Sender, err = b.runtime(ctx, "ours-sender", sender)
		return err
	}}
}

// startApart starts the contender whose applications are processes of their own.
func (b *bench) startApart(ctx context.Context, p *contest.Pair, use []string) error {
	receiver, sender := b.newRuntime(use), b.newRuntime(use)
	receiver.Socket, sender.Socket = true, true
	remote, err := b.runtime(ctx, "ours-receiver", receiver)
	if err != nil {
		return err
	}
	p.Runtimes = append(p.Runtimes, remote)
	if p.Receiver, err = load.Start(ctx, "application that receives", "role", "socket-receiver", socketOf(receiver.Dir)); err != nil {
		return err
	}
	runtime, err := b.runtime(ctx, "ours-sender", sender)
	if err != nil {
		return err
	}
	p.Runtimes = append(p.Runtimes, runtime)
	if p.Sender, err = load.Start(ctx, "application that sends", "role", "socket-sender", socketOf(sender.Dir), p.Receiver.Addr); err != nil || len(use) == 0 {
		return err
	}
	_, err = runtime.Do(ctx, load.Command{Do: "direct", Text: remote.Addr})
	return err
}

// newRuntime returns the options of one more runtime.
func (b *bench) newRuntime(use []string) ourOptions {
	return ourOptions{Domain: domain, Node: b.node.URL, Dir: filepath.Join(b.dir, "rt"+strconv.FormatInt(b.made.Add(1), 10)), Plugins: b.bin.Plugins, Use: use}
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
