// Mallory has the applications of an attack by a paired runtime, for the cases hostile/peer, claims and candidates of
// bench/faults. They are processes of their own, so that their cost is not in the measuring process.
//
//	mallory -socket S -name N              the application at an attacked runtime: it answers everybody with 48 KiB
//	mallory -socket S -victims V,… …       the attacker's: it makes its runtime set up connections with the victims for ever
//
// The first prints its address on its first line, the second "paired" when all applications that it asks have answered once. When
// the second is interrupted, it gives up its connections and writes what it did to the file -report.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/protofly/protofly/sdk/hyperty"
)

const greeting = 48 << 10 // bytes of an answer

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mallory:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var o options
	flag.StringVar(&o.socket, "socket", "", "the local API of the application's runtime")
	flag.StringVar(&o.name, "name", "mallory", "the application's, one in its domain")
	flag.StringVar(&o.victims, "victims", "", "the attacked runtimes, with commas between them; none: answer only")
	flag.StringVar(&o.asked, "asked", "", "the applications at them that answer, in the same order")
	flag.StringVar(&o.transport, "transport", "", "the plug-in that connects with them")
	flag.DurationVar(&o.pause, "pause", 0, "from one set-up to the next; 0: until its connection is over, or it has failed")
	flag.BoolVar(&o.hungry, "hungry", false, "ask the first of -asked for answers all the time")
	flag.StringVar(&o.deeds, "deeds", "", "the file in which the plug-in notes what it has done")
	flag.StringVar(&o.report, "report", "", "the file for what was done")
	flag.Parse()
	client, err := hyperty.Dial(ctx, hyperty.Options{Socket: o.socket})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(context.WithoutCancel(ctx))) }()
	if o.victims == "" {
		return answer(ctx, client, o.name)
	}
	return attack(ctx, client, o)
}

// answer answers everybody until ctx ends.
func answer(ctx context.Context, client *hyperty.Client, name string) error {
	app, err := client.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		return err
	}
	text := strings.Repeat("g", greeting)
	app.Handle(func(ctx context.Context, q hyperty.Received) { _ = q.Answer(ctx, text) })
	fmt.Println(app.URL())
	<-ctx.Done()
	return nil
}
