// Hostile-node is a Message Node that was written to cheat, for tests: a man in the middle between the stubs of runtimes
// and an honest node. It speaks protofly.v1 to both, passes on the proofs of identity, and then
//
//   - alters, cuts, drops, repeats, reorders, stitches together and invents the opaque frames that it carries, gives
//     them back to their sender, and says that they are from somebody else (package cheat, frames.go);
//   - puts its own keys into the handshakes of sessions, as either side (impostor.go);
//   - says in the Domain Registry's answers that names are at other runtimes, and sends messages in others' names
//     (messages.go).
//
// It keeps all bytes that it saw. Nobody should run it for anything else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

func main() {
	var o cheat.Options
	var node, accomplice, names string
	flag.StringVar(&node, "node", "", "URL of the honest node")
	flag.StringVar(&accomplice, "accomplice", "", "URL of the runtime that names are said to be at")
	flag.StringVar(&names, "names", "", "addresses to pretend to be, separated by commas")
	flag.Uint64Var(&o.Seed, "seed", 1, "of the chances")
	flag.IntVar(&o.Percent, "percent", 5, "of the chances that are used")
	flag.StringVar(&o.Record, "record", "", "file for all bytes that are seen")
	flag.StringVar(&o.Report, "report", "", "file for the counts of what was tried")
	flag.Parse()
	if names != "" {
		o.Names = strings.Split(names, ",")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o, node, message.URL(accomplice)); err != nil {
		fmt.Fprintln(os.Stderr, "hostile-node:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Where it listens is the first line on stdout.
func run(ctx context.Context, o cheat.Options, node string, accomplice message.URL) error {
	c, err := cheat.New(o)
	if err != nil {
		return err
	}
	r, err := newRelay(c, node, accomplice)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, c.Close())
	}
	server := &http.Server{Handler: r}
	stop := context.AfterFunc(ctx, func() { _ = server.Close(); r.end() })
	defer stop()
	fmt.Printf("listening on ws://%s%s\n", l.Addr(), wire.Path)
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, c.Close())
	}
	r.wait()
	return c.Close()
}
