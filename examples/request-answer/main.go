// Request-answer is a service and its client: the service answers every request with the text in capital letters, and
// refuses one that has no text.
//
// To try it, you need a Message Node and two runtimes. This starts them and prints the paths of their sockets, which are called
// ALICE.sock and BOB.sock below:
//
//	go run ./examples/quickstart -keep
//
// Then, each in a terminal of its own:
//
//	go run ./examples/request-answer -socket BOB.sock -serve capitals
//	go run ./examples/request-answer -socket ALICE.sock -ask hyperty://example.com/capitals hello
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func main() {
	socket := flag.String("socket", "", "the runtime's socket (default: $"+hyperty.SocketVariable+", else the user's own)")
	name := flag.String("serve", "", "serve at hyperty://<the runtime's domain>/<this name>, until Ctrl-C")
	service := flag.String("ask", "", "ask the service at this address; the words behind it are the question")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := errors.New("give -serve or -ask")
	if *name != "" {
		err = serve(ctx, *socket, *name, os.Stdout)
	} else if *service != "" {
		err = ask(ctx, *socket, *service, strings.Join(flag.Args(), " "), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "request-answer:", err)
		os.Exit(1)
	}
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, socket, name string, out io.Writer) error {
	runtime, err := hyperty.Dial(ctx, hyperty.Options{Socket: socket})
	if err != nil {
		return err
	}
	defer runtime.Close(context.WithoutCancel(ctx)) // after what was answered has left
	me, err := runtime.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		return err
	}
	me.Handle(capitals)
	fmt.Fprintln(out, "serving at", me.URL())
	<-ctx.Done()
	return nil
}

// capitals answers a request.
func capitals(ctx context.Context, m hyperty.Received) {
	if m.Text() == "" {
		_ = m.Refuse(ctx, message.CodeBadRequest, "there is no text")
		return
	}
	_ = m.Answer(ctx, strings.ToUpper(m.Text()))
}

// ask prints the service's answer. A refusal is the error, a [*message.ResponseError] with its code.
func ask(ctx context.Context, socket, service, question string, out io.Writer) error {
	to, err := message.ParseURL(service)
	if err != nil {
		return err
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
	answer, err := me.Request(ctx, to, message.Read, question)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", answer.Value)
	return err
}
