// Chat connects two terminals: every line that you type is sent to the other one's address, and messages to your address are
// printed. The runtime finds the other one, and the way for the lines.
//
// In the project's folder, once:
//
//	go build -o bin/protofly ./cmd/runtime
//	go build -o bin/protofly-node ./cmd/msgnode
//	go build -o bin/ ./plugins/msgnode-ws ./plugins/quic ./plugins/webrtc
//	bin/protofly plugins install --data /tmp/chat/alice bin/msgnode-ws bin/quic
//	bin/protofly plugins install --data /tmp/chat/bob bin/msgnode-ws bin/quic
//
// Start a Message Node and two runtimes, here on one machine, each in a terminal of its own:
//
//	bin/protofly-node run --domain example.com --data /tmp/chat/node
//	bin/protofly run --domain example.com --node ws://127.0.0.1:4433/protofly --data /tmp/chat/alice --socket /tmp/chat/alice.sock
//	bin/protofly run --domain example.com --node ws://127.0.0.1:4433/protofly --data /tmp/chat/bob --socket /tmp/chat/bob.sock
//
// Then start the two sides of the chat:
//
//	go run ./examples/chat -name alice -to hyperty://example.com/bob -socket /tmp/chat/alice.sock
//	go run ./examples/chat -name bob -to hyperty://example.com/alice -socket /tmp/chat/bob.sock
//
// The end of the input (Ctrl-D) ends it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func main() {
	name := flag.String("name", "", "your name: your address is hyperty://<the runtime's domain>/<name>")
	to := flag.String("to", "", "the other one's address, as hyperty://example.com/bob")
	socket := flag.String("socket", "", "the runtime's socket (default: $"+hyperty.SocketVariable+", else the user's own)")
	flag.Parse()
	if err := chat(context.Background(), *name, *to, *socket, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// chat sends the lines of in to the address to, and prints on out what comes, until in ends.
func chat(ctx context.Context, name, to, socket string, in io.Reader, out io.Writer) (err error) {
	other, err := message.ParseURL(to)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	if name == "" {
		return errors.New("-name is missing")
	}
	runtime, err := hyperty.Dial(ctx, hyperty.Options{Socket: socket})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runtime.Close(ctx)) }() // Close waits until the runtime has all messages
	me, err := runtime.Register(ctx, hyperty.Registration{Name: name, Resources: []string{"chat"}})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "you are %s\n", me.URL())
	me.Handle(func(_ context.Context, m hyperty.Received) {
		fmt.Fprintf(out, "<%s> %s\n", m.From, printable(m.Text()))
	})
	me.HandleResponses(func(_ context.Context, m message.Message) {
		if _, err := m.OK(); err != nil {
			fmt.Fprintf(out, "not delivered: %s\n", printable(err.Error()))
		}
	})
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := me.Send(ctx, other, lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// printable returns s without control characters, since strangers wrote it and a terminal would obey them.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
