// Embedded runs the runtime inside its own process: package core is a library, and applications in the same process need no
// socket. Plug-ins are processes of their own here too.
//
// In the project's folder, once:
//
//	go build -o bin/protofly ./cmd/runtime
//	go build -o bin/protofly-node ./cmd/msgnode
//	go build -o bin/ ./plugins/msgnode-ws ./plugins/quic
//	bin/protofly plugins install --plugins /tmp/embedded/plugins bin/msgnode-ws bin/quic
//
// Then, each in a terminal of its own:
//
//	bin/protofly-node run --domain example.com --data /tmp/embedded/node
//	go run ./examples/embedded -data /tmp/embedded/a -name clock
//	go run ./examples/embedded -data /tmp/embedded/b -ask hyperty://example.com/clock
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func main() {
	c := core.Config{Domain: "example.com", Log: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})}
	node := flag.String("node", "ws://127.0.0.1:4433/protofly", "the Message Node of example.com")
	flag.StringVar(&c.DataDir, "data", "", "folder of this runtime's key")
	flag.StringVar(&c.PluginDir, "plugins", "/tmp/embedded/plugins", "folder of the installed plug-ins")
	name := flag.String("name", "", "be a clock at hyperty://example.com/<this name>, until Ctrl-C")
	clock := flag.String("ask", "", "ask the clock at this address")
	flag.Parse()
	c.Nodes = map[string]string{c.Domain: *node}
	c.P2P.Use = []string{"quic"}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, c, *name, *clock, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "embedded:", err)
		os.Exit(1)
	}
}

// run starts a runtime and an application in it.
func run(ctx context.Context, c core.Config, name, clock string, out io.Writer) error {
	runtime, err := core.Start(ctx, c)
	if err != nil {
		return err
	}
	defer func() { // ends the plug-ins too
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if left := runtime.Close(ending); left != nil { // messages to a runtime that has gone before, for instance
			fmt.Fprintln(os.Stderr, "embedded:", left)
		}
	}()
	me, err := runtime.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		return err
	}
	if clock != "" {
		now, err := me.Request(ctx, message.URL(clock), message.Read, nil)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", now.Value)
		return err
	}
	me.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, time.Now()) })
	fmt.Fprintln(out, "the time is told at", me.URL())
	<-ctx.Done()
	return nil
}
