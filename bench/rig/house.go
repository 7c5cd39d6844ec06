package rig

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/internal/testbed"
	"github.com/protofly/protofly/sdk/message"
)

// Process is a process that was started here.
type Process = testbed.Process

// House starts processes that have their files in one folder. Dir and Bin are required.
type House struct {
	Dir  string
	Bin  Binaries
	Free bool // processes may outlive this one
}

// Node is a Message Node.
type Node struct {
	*Process
	Domain, URL string
	TraceFile   string // the file with everything that it routes, if the options ask for one
	again       testbed.Command
}

// NodeOptions are the settings of a Message Node. Domain is required.
type NodeOptions struct {
	Domain string
	Listen string   // "": a free port of 127.0.0.1
	In     []string // a command to put in front that executes the program, such as "ip netns exec NAME"
	Plain  bool     // without TLS even if Listen is not a loopback address: for networks within this machine
	Trace  bool
	More   string // lines of its configuration
}

// Node starts a Message Node.
func (h *House) Node(ctx context.Context, o NodeOptions) (*Node, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	base := filepath.Join(h.Dir, "node-"+o.Domain)
	n := &Node{Domain: o.Domain}
	args := []string{h.Bin.Node, "run", "--domain", o.Domain, "--data", base}
	if o.Trace {
		n.TraceFile = base + ".trace"
		args = append(args, "--trace", n.TraceFile)
	}
	if o.Plain {
		args = append(args, "--insecure")
	}
	if o.More != "" {
		if err := os.WriteFile(base+".yaml", []byte(o.More), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config", base+".yaml")
	}
	n.again = testbed.Command{
		Name: "the Message Node of " + o.Domain, Log: base + ".log", Free: h.Free, In: o.In, Args: append(args, "--listen", o.Listen),
	}
	if err := n.Start(ctx); err != nil {
		return nil, err
	}
	at, err := url.Parse(n.URL)
	if err != nil {
		n.Stop()
		return nil, fmt.Errorf("the Message Node of %s: %w", o.Domain, err)
	}
	n.again.Args[len(n.again.Args)-1] = at.Host
	return n, nil
}

// Start starts the node again after it has ended, at the same address and with its data.
func (n *Node) Start(ctx context.Context) error {
	p, err := n.again.Start(ctx)
	if err != nil {
		return err
	}
	var shown string
	if _, err := fmt.Sscanf(p.Line, "listening on %s domain %s", &n.URL, &shown); err != nil {
		p.Stop()
		return fmt.Errorf("%s said %q: %w", n.again.Name, p.Line, err)
	}
	n.Process = p
	return nil
}

// Runtime is a runtime.
type Runtime struct {
	*Process
	Name      string
	URL       message.URL
	Socket    string // of its application API
	Plugins   string // the folder of its installed plug-ins
	TraceFile string // the file with everything that it does, if the options ask for one
	binary    string
	config    string // its configuration file
	again     testbed.Command
}

// RuntimeOptions are the settings of a runtime. Name, which is unique in the house, and Domain are required.
type RuntimeOptions struct {
	Name, Domain string
	Nodes        map[string]string // the URL of each domain's Message Node
	Plugins      string            // the folder of its installed plug-ins; "": the one of House.Bin
	Use          []string          // P2P plug-ins
	Policy       string            // on P2P connections; "": the default
	More         string            // lines to add to its configuration
	In           []string          // as in NodeOptions
	Trace        bool
}

// Runtime starts a runtime.
func (h *House) Runtime(ctx context.Context, o RuntimeOptions) (*Runtime, error) {
	base := filepath.Join(h.Dir, o.Name)
	r := &Runtime{Name: o.Name, Socket: base + ".sock", Plugins: cmp.Or(o.Plugins, h.Bin.Plugins), binary: h.Bin.Runtime, config: base + ".yaml"}
	var b strings.Builder
	fmt.Fprintf(&b, "domain: %s\nnodes:\n", o.Domain)
	for domain, url := range o.Nodes {
		fmt.Fprintf(&b, "  %s: %s\n", domain, url)
	}
	fmt.Fprintf(&b, "data: %s\nplugins: {dir: %s, use: [%s]}\napi: {socket: %s}\n", base, r.Plugins, strings.Join(o.Use, ", "), r.Socket)
	if o.Trace {
		r.TraceFile = base + ".trace"
		fmt.Fprintf(&b, "trace: %s\n", r.TraceFile)
	}
	if o.Policy != "" {
		fmt.Fprintf(&b, "p2p: {policy: %s}\n", o.Policy)
	}
	b.WriteString(o.More)
	if err := os.WriteFile(r.config, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	r.again = testbed.Command{
		Name: "runtime " + o.Name, Log: base + ".log", Free: h.Free, In: o.In, Args: []string{h.Bin.Runtime, "run", "--config", r.config},
	}
	return r, r.Start(ctx)
}

// Start starts the runtime again after it has ended, with its data and so with its address.
func (r *Runtime) Start(ctx context.Context) error {
	p, err := r.again.Start(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(p.Line, "runtime %s ready,", (*string)(&r.URL)); err != nil {
		p.Stop()
		return fmt.Errorf("%s said %q: %w", r.again.Name, p.Line, err)
	}
	r.Process = p
	return nil
}

// Command runs a command of the runtime's binary with the runtime's configuration, as an operator does. It returns the
// command's output; if the command fails, the error has its standard error.
func (r *Runtime) Command(ctx context.Context, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.binary, append(words, "--config", r.config)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("protofly %s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}

// Program starts any other program that says on its first line of output that it is ready. name is unique
// in the house.
func (h *House) Program(ctx context.Context, name string, args ...string) (*Process, error) {
	return testbed.Command{Name: name, Log: filepath.Join(h.Dir, name+".log"), Free: h.Free, Args: args}.Start(ctx)
}

// Status returns the runtime's status.
func (r *Runtime) Status(ctx context.Context) (api.Status, error) {
	client, err := api.Dial(ctx, r.Socket)
	if err != nil {
		return api.Status{}, err
	}
	defer func() { _ = client.Close() }()
	return client.Status(ctx)
}
