package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/protofly/protofly/bench/speed/load"
)

// roles are the functions of this program as a child process. Its command line is then "role", one of these names, and the
// role's arguments.
func roles() map[string]func(ctx context.Context, args []string) error {
	return map[string]func(ctx context.Context, args []string) error{
		"libp2p-receiver": libp2pReceiver,
		"libp2p-sender":   libp2pSender,
		"protofly-node":   protoflyNode,
	}
}

// play is main for a child.
func play(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("role: which?")
	}
	role, ok := roles()[args[0]]
	if !ok {
		return fmt.Errorf("role %q: there is none", args[0])
	}
	return role(ctx, args[1:])
}

// say writes an error of a child to its standard error, which the parent shows if something fails.
func say(err error) { fmt.Fprintln(os.Stderr, err) }

// serveSender runs the driver of a connection until the parent ends it.
func serveSender(ctx context.Context, c load.Conn) error {
	driver, run := load.Drive(c)
	return beside(ctx, run, func() error {
		return (&load.Child{Driver: driver}).Serve(ctx, "", os.Stdin, os.Stdout)
	})
}

// beside runs run and serve in parallel. When serve returns it ends run, and waits for it.
func beside(ctx context.Context, run func(ctx context.Context) error, serve func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			say(err)
		}
	}()
	err := serve()
	cancel()
	<-done
	return err
}
