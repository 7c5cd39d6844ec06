package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/load"
)

const (
	parent    = "github.com/protofly/protofly"
	ourName   = "protofly"
	ourDomain = "example.com"
)

// ours is Protofly, built from this module's checkout, and its Message Node.
type ours struct {
	dir     string
	node    *load.Process // runs the Message Node; its address is the node's URL
	nodePID int
	made    atomic.Int64 // runtimes
}

// build builds everything into dir, from the current folder's checkout.
func build(ctx context.Context, dir string) (*ours, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", parent).Output()
	if err != nil {
		return nil, fmt.Errorf("the go command does not find the project (run this in bench/peers): %w", err)
	}
	o := &ours{dir: dir}
	if err := os.Mkdir(o.bin(""), 0o700); err != nil {
		return nil, err
	}
	args := []string{"build", "-o", o.bin(""), "./bench/speed", "./cmd/runtime", "./cmd/msgnode", "./plugins/msgnode-ws", "./plugins/quic"}
	if err := command(ctx, strings.TrimSpace(string(out)), "go", args...); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.yaml") // only to say where plug-ins are installed
	text := fmt.Sprintf("domain: %s\ndata: %q\nplugins: {dir: %q}\n", ourDomain, filepath.Join(dir, "data"), o.plugins())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return o, command(ctx, dir, o.bin("runtime"), "plugins", "install", "--config", config, o.bin("msgnode-ws"), o.bin("quic"))
}

// bin is a built program.
func (o *ours) bin(name string) string {
	path := filepath.Join(o.dir, "bin")
	if name == "" {
		return path + string(filepath.Separator)
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(path, name)
}

func (o *ours) plugins() string { return filepath.Join(o.dir, "plugins") }

func command(ctx context.Context, dir, program string, args ...string) error {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = dir
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, text)
	}
	return nil
}

// startNode starts the Message Node as a child of a child of this program, so that it ends however this program ends.
func (o *ours) startNode(ctx context.Context) (err error) {
	if o.node, err = load.Start(ctx, "Message Node", "role", "protofly-node", o.bin("msgnode"), filepath.Join(o.dir, "node")); err != nil {
		return err
	}
	u, err := o.node.Usage(ctx)
	if err != nil {
		o.node.Stop()
		return err
	}
	o.nodePID = u.PIDs[len(u.PIDs)-1]
	return nil
}

// protoflyNode is the role of the child that runs the Message Node: its arguments are the program, and the folder for its state.
func protoflyNode(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("want the node's program and its folder")
	}
	node := exec.Command(args[0], "run", "--domain", ourDomain, "--data", args[1], "--listen", "127.0.0.1:0")
	node.Stderr = os.Stderr
	out, err := node.StdoutPipe()
	if err != nil {
		return err
	}
	if err := node.Start(); err != nil {
		return err
	}
	defer endNode(node)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the Message Node ended: %w", err)
	}
	var url string
	if _, err := fmt.Sscanf(line, "listening on %s domain", &url); err != nil {
		return fmt.Errorf("the Message Node said %q: %w", line, err)
	}
	child := load.Child{PIDs: func() []int { return []int{node.Process.Pid} }}
	return child.Serve(ctx, url, os.Stdin, os.Stdout)
}

// nodeStop is how long the node may take to end.
const nodeStop = 10 * time.Second

func endNode(node *exec.Cmd) {
	if err := node.Process.Signal(os.Interrupt); err != nil {
		_ = node.Process.Kill()
	}
	kill := time.AfterFunc(nodeStop, func() { _ = node.Process.Kill() })
	_ = node.Wait()
	kill.Stop()
}

// runtimeOptions are what a role of bench/speed takes, in JSON.
type runtimeOptions struct {
	Domain, Node, Dir, Plugins string
	Use                        []string
	Peer, PeerRuntime          string `json:",omitempty"` // of a sender: the application and the runtime that it sends to
}

// protofly starts two runtimes that use these P2P plug-ins; without any they use the relay.
func (o *ours) protofly(use ...string) contest.Starter {
	return contest.Starter{Name: ourName, Start: func(ctx context.Context, p *contest.Pair) (err error) {
		if len(use) == 0 {
			p.More = append(p.More, o.nodePID)
		}
		if p.Receiver, err = o.runtime(ctx, "ours-receiver", use, "", ""); err != nil {
			return err
		}
		app, remote, ok := strings.Cut(p.Receiver.Addr, " ")
		if !ok {
			return errors.New("the receiver does not say where it is")
		}
		p.Sender, err = o.runtime(ctx, "ours-sender", use, app, remote)
		return err
	}}
}

// nats is NATS core, with the server and the clients that bench/speed has.
func (o *ours) nats() contest.Starter {
	return contest.Starter{Name: "NATS", Start: func(ctx context.Context, p *contest.Pair) error {
		role := func(name string, args ...string) (*load.Process, error) {
			return load.StartProgram(ctx, name, nil, o.bin("speed"), append([]string{"role", name}, args...)...)
		}
		s, err := role("nats-server")
		if err != nil {
			return err
		}
		p.Others = append(p.Others, s)
		if p.Receiver, err = role("nats-receiver", s.Addr); err != nil {
			return err
		}
		p.Sender, err = role("nats-sender", s.Addr)
		return err
	}}
}

func (o *ours) runtime(ctx context.Context, role string, use []string, app, remote string) (*load.Process, error) {
	dir := filepath.Join(o.dir, "rt"+strconv.FormatInt(o.made.Add(1), 10))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	text, err := json.Marshal(runtimeOptions{Domain: ourDomain, Node: o.node.Addr, Dir: dir, Plugins: o.plugins(), Use: append([]string{}, use...), Peer: app, PeerRuntime: remote})
	if err != nil {
		return nil, err
	}
	return load.StartProgram(ctx, role, nil, o.bin("speed"), "role", role, string(text))
}
