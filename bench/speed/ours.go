package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/bench/speed/load"
	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// This file has the roles of Protofly: a runtime in each of two processes, with the plug-ins in processes of their own. The
// application is in the runtime's process, or in another one that uses the local API.

// ourOptions are the options of a runtime. They are the role's argument, as JSON.
type ourOptions struct {
	Domain, Node string
	Dir, Plugins string
	Use          []string
	Peer         message.URL // of a sender: the receiver's application
	Socket       bool        // the application is another process
	PeerRuntime  message.URL
}

const domain = "example.com"

func parseOurs(args []string) (o ourOptions, err error) {
	if len(args) != 1 {
		return o, errors.New("want the options")
	}
	err = json.Unmarshal([]byte(args[0]), &o)
	return o, err
}

// startOurs starts the runtime.
func startOurs(ctx context.Context, o ourOptions) (*core.Runtime, error) {
	c := core.Config{
		Domain: o.Domain, Nodes: map[string]string{o.Domain: o.Node}, DataDir: o.Dir, PluginDir: o.Plugins,
		P2P: core.P2P{Use: o.Use}, Log: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr}),
	}
	if o.Socket {
		c.Socket = socketOf(o.Dir)
	}
	return core.Start(ctx, c)
}

func socketOf(dir string) string { return filepath.Join(dir, "api.sock") }

func endOurs(rt *core.Runtime) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := rt.Close(ctx); err != nil {
		say(err)
	}
}

// pluginsOf are the processes of a runtime's plug-ins.
func pluginsOf(rt *core.Runtime) func() []int {
	return func() (pids []int) {
		st, err := rt.Status(context.Background())
		if err != nil {
			return nil
		}
		for _, p := range st.Plugins {
			if p.PID != 0 {
				pids = append(pids, p.PID)
			}
		}
		return pids
	}
}

// application is a hyperty as a [load.Conn].
type application struct {
	*hyperty.Hyperty
	to message.URL
}

var (
	_ load.Conn      = (*application)(nil)
	_ load.Requester = (*application)(nil)
)

func (a *application) Send(ctx context.Context, b []byte, _ bool) error {
	return a.Post(ctx, message.Message{Type: message.Update, To: a.to, Body: b})
}

func (a *application) Run(ctx context.Context, take func(b []byte)) error {
	a.Handle(func(_ context.Context, m hyperty.Received) { take(m.Body) })
	a.HandleResponses(func(_ context.Context, m message.Message) { say(fmt.Errorf("response: %s", m.Body)) })
	<-ctx.Done()
	return nil
}

func (a *application) Request(ctx context.Context, b []byte) error {
	_, err := a.Hyperty.Request(ctx, a.to, message.Read, json.RawMessage(b))
	return err
}

// receive makes h the receiver of any number of senders.
func receive(h *hyperty.Hyperty) {
	var mu sync.Mutex
	replies := map[message.URL]load.Reply{}
	h.Handle(func(ctx context.Context, m hyperty.Received) {
		mu.Lock()
		reply := replies[m.From]
		if reply == nil {
			reply = load.NewReply()
			replies[m.From] = reply
		}
		mu.Unlock()
		b := reply(m.Body)
		if b == nil {
			return
		}
		var err error
		if m.Type == message.Read {
			err = m.Answer(ctx, json.RawMessage(b))
		} else {
			err = h.Post(ctx, message.Message{Type: message.Update, To: m.From, Body: b})
		}
		if err != nil {
			say(err)
		}
	})
}

func oursReceiver(ctx context.Context, args []string) error {
	o, err := parseOurs(args)
	if err != nil {
		return err
	}
	rt, err := startOurs(ctx, o)
	if err != nil {
		return err
	}
	defer endOurs(rt)
	child := &load.Child{PIDs: pluginsOf(rt), Own: profiler(rt)}
	if o.Socket {
		return child.Serve(ctx, string(rt.URL()), os.Stdin, os.Stdout)
	}
	h, err := rt.Register(ctx, hyperty.Registration{})
	if err != nil {
		return err
	}
	receive(h)
	return child.Serve(ctx, string(h.URL())+" "+string(rt.URL()), os.Stdin, os.Stdout)
}

func oursSender(ctx context.Context, args []string) error {
	o, err := parseOurs(args)
	if err != nil {
		return err
	}
	rt, err := startOurs(ctx, o)
	if err != nil {
		return err
	}
	defer endOurs(rt)
	child := load.Child{PIDs: pluginsOf(rt), Own: profiler(rt)}
	if o.Socket {
		child.Own = waiter(rt, child.Own)
		return child.Serve(ctx, string(rt.URL()), os.Stdin, os.Stdout)
	}
	h, err := rt.Register(ctx, hyperty.Registration{})
	if err != nil {
		return err
	}
	a := &application{h, o.Peer}
	if err := a.greet(ctx); err != nil {
		return err
	}
	if len(o.Use) > 0 {
		if err := awaitDirect(ctx, rt, o.PeerRuntime); err != nil {
			return err
		}
	}
	return serveSender(ctx, a, child)
}

// waiter adds a command that waits for the direct connection.
func waiter(rt *core.Runtime, next own) own {
	return func(ctx context.Context, c load.Command) (load.Result, bool, error) {
		if c.Do != "direct" {
			return next(ctx, c)
		}
		return load.Result{}, true, awaitDirect(ctx, rt, message.URL(c.Text))
	}
}

type own = func(ctx context.Context, c load.Command) (load.Result, bool, error)

const directTimeout = 20 * time.Second

// awaitDirect waits until the session with a runtime uses a direct connection.
func awaitDirect(ctx context.Context, rt *core.Runtime, remote message.URL) error {
	ctx, cancel := context.WithTimeout(ctx, directTimeout)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		st, err := rt.Status(ctx)
		if err != nil {
			return err
		}
		if isDirect(st, remote) {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("no direct connection with %s within %v: %+v", remote, directTimeout, st.Connections)
		}
	}
}

func isDirect(st api.Status, remote message.URL) bool {
	for _, s := range st.Sessions {
		if s.Remote == remote && s.Direct {
			return true
		}
	}
	return false
}

// withApplication runs a role that is an application beside a runtime: args are the runtime's socket and n more.
func withApplication(ctx context.Context, args []string, n int, role func(h *hyperty.Hyperty, rest []string) error) error {
	if len(args) != n+1 {
		return fmt.Errorf("want %d arguments: %q", n+1, args)
	}
	client, err := hyperty.Dial(ctx, hyperty.Options{Socket: args[0]})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	h, err := client.Register(ctx, hyperty.Registration{})
	if err != nil {
		return err
	}
	return role(h, args[1:])
}

func socketReceiver(ctx context.Context, args []string) error {
	return withApplication(ctx, args, 0, func(h *hyperty.Hyperty, _ []string) error {
		receive(h)
		return (&load.Child{}).Serve(ctx, string(h.URL()), os.Stdin, os.Stdout)
	})
}

func socketSender(ctx context.Context, args []string) error {
	return withApplication(ctx, args, 1, func(h *hyperty.Hyperty, rest []string) error {
		a := &application{h, message.URL(rest[0])}
		if err := a.greet(ctx); err != nil {
			return err
		}
		return serveSender(ctx, a, load.Child{})
	})
}

// greet sends the first message, which starts the direct connection, and waits for its answer.
func (a *application) greet(ctx context.Context) error {
	return a.Request(ctx, load.Text(load.Ping, 0, load.MinSize))
}
