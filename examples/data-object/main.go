// Data-object is a board with one reporter and any number of observers: every line "key value" that the reporter types sets a value
// on it, and the observers' copies follow, at any runtime.
//
// To try it, you need a Message Node and two runtimes. This starts them and prints the paths of their sockets, which are called
// ALICE.sock and BOB.sock below:
//
//	go run ./examples/quickstart -keep
//
// Then, each in a terminal of its own; the first prints the address that the second needs:
//
//	go run ./examples/data-object -socket ALICE.sock
//	go run ./examples/data-object -socket BOB.sock -observe comm://example.com/…
//
// The end of the reporter's input (Ctrl-D) deletes the board, which ends the observers.
package main

import (
	"bufio"
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
	"github.com/protofly/protofly/sdk/syncher"
)

func main() {
	socket := flag.String("socket", "", "the runtime's socket (default: $"+hyperty.SocketVariable+", else the user's own)")
	observed := flag.String("observe", "", "the address of the board to observe; without it one is made")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, *socket, *observed); err != nil {
		fmt.Fprintln(os.Stderr, "data-object:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, socket, observed string) error {
	runtime, err := hyperty.Dial(ctx, hyperty.Options{Socket: socket})
	if err != nil {
		return err
	}
	defer runtime.Close(context.WithoutCancel(ctx))
	me, err := runtime.Register(ctx, hyperty.Registration{})
	if err != nil {
		return err
	}
	if observed == "" {
		return report(ctx, me.Objects(), os.Stdin, os.Stdout)
	}
	url, err := message.ParseURL(observed)
	if err != nil {
		return err
	}
	return observe(ctx, me.Objects(), url, os.Stdout)
}

// report makes a board and sets what the lines of in say.
func report(ctx context.Context, objects *syncher.Syncher, in io.Reader, out io.Writer) error {
	board, err := objects.Create(ctx, syncher.Object{Scheme: "comm", Name: "board"})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "the board is", board.URL())
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if err := board.Set(ctx, key, value); err != nil {
			return err
		}
	}
	return errors.Join(lines.Err(), board.Delete(ctx))
}

// observe prints the board as it is, and every change, until the board is gone.
func observe(ctx context.Context, objects *syncher.Syncher, url message.URL, out io.Writer) error {
	board, err := objects.Observe(ctx, url)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", board.Value())
	for {
		change, err := board.Next(ctx)
		switch {
		case err != nil:
			return err
		case change.Deleted:
			return nil
		case change.Resync: // changes were missed, and the whole value was fetched again
			fmt.Fprintf(out, "%s\n", board.Value())
		default:
			fmt.Fprintf(out, "%s = %s\n", change.Attribute, change.Value)
		}
	}
}
