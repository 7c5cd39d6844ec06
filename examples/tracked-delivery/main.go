// Tracked-delivery sends a message for each line that is typed, and prints what became of it: delivered to the receiver's
// handler, refused (and why), expired, or in doubt.
//
// To try it, you need a Message Node and two runtimes. This starts them and prints the paths of their sockets; one is called
// ALICE.sock below:
//
//	go run ./examples/quickstart -keep
//
// An application listens at hyperty://example.com/bob there, so that lines of the first command are delivered. Nobody has the
// address of the second one, so that its lines are refused:
//
//	go run ./examples/tracked-delivery -socket ALICE.sock -to hyperty://example.com/bob
//	go run ./examples/tracked-delivery -socket ALICE.sock -to hyperty://example.com/nobody
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func main() {
	socket := flag.String("socket", "", "the runtime's socket (default: $"+hyperty.SocketVariable+", else the user's own)")
	to := flag.String("to", "", "the receiver's address")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := send(ctx, *socket, *to, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tracked-delivery:", err)
		os.Exit(1)
	}
}

// send sends the lines of in, and prints what became of each.
func send(ctx context.Context, socket, to string, in io.Reader, out io.Writer) error {
	receiver, err := message.ParseURL(to)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	runtime, err := hyperty.Dial(ctx, hyperty.Options{Socket: socket})
	if err != nil {
		return err
	}
	defer runtime.Close(context.WithoutCancel(ctx))
	me, err := runtime.Register(ctx, hyperty.Registration{Ephemeral: true}) // nobody needs to find it
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		delivery, err := me.SendTracked(ctx, receiver, message.Update, lines.Text())
		if err != nil {
			return err
		}
		outcome, err := delivery.Wait(ctx) // one may as well send on, and ask for the outcomes later
		if err != nil {
			return err
		}
		switch outcome.State {
		case hyperty.Delivered:
			fmt.Fprintln(out, "delivered")
		case hyperty.Refused:
			fmt.Fprintf(out, "refused with code %d\n", outcome.Code)
		default: // Expired or InDoubt: it may have arrived
			fmt.Fprintf(out, "%s: %s\n", outcome.State, outcome.Reason)
		}
	}
	return lines.Err()
}
