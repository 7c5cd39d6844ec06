// Hostile-client is a client of a Message Node that was written to do harm, for tests: it does one kind of attack, as fast
// as it can, against the node itself or against a runtime that is reached over it (attacks.go lists the kinds). It says on
// its first line of output that it attacks, and on its last one, when it is told to end, how often it tried. It attacks
// loopback addresses alone. Nobody should run it for anything else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// limit ends an attack that nobody ends.
const limit = 10 * time.Minute

func main() {
	var a attacker
	var name, victim string
	flag.StringVar(&name, "attack", "", strings.Join(names(), ", "))
	flag.StringVar(&a.node, "node", "", "URL of the node")
	flag.StringVar(&a.domain, "domain", "", "the node's domain")
	flag.StringVar(&victim, "victim", "", "URL of the runtime that is attacked over the node")
	flag.StringVar(&a.self, "address", "127.0.0.66", "that it comes from")
	flag.IntVar(&a.version, "version", 4, "of the sessions' protocol")
	flag.Parse()
	a.victim = message.URL(victim)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, limit)
	defer cancel()
	if err := a.run(ctx, name); err != nil {
		fmt.Fprintln(os.Stderr, "hostile-client:", err)
		os.Exit(1)
	}
}

// attacker is one run of the program.
type attacker struct {
	node, domain string
	victim       message.URL
	version      int
	self         string // address that it comes from

	host   string // of node, with its port
	dialer net.Dialer
	client *http.Client
	tried  atomic.Uint64
	failed atomic.Uint64 // tries that were refused, or ended by the other side
}

// workers is how many attack side by side.
const workers = 4

// run attacks until ctx ends.
func (a *attacker) run(ctx context.Context, name string) error {
	attack, ok := attacks[name]
	if !ok {
		return fmt.Errorf("-attack %q: there is none; there are %s", name, strings.Join(names(), ", "))
	}
	at, err := url.Parse(a.node)
	if err != nil {
		return fmt.Errorf("-node: %w", err)
	}
	if ip := net.ParseIP(at.Hostname()); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("-node %s: only a loopback address is attacked", a.node)
	}
	a.host = at.Host
	a.dialer = net.Dialer{Timeout: time.Second}
	if a.self != "" {
		a.dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(a.self)}
	}
	transport := &http.Transport{DialContext: a.dialer.DialContext}
	defer transport.CloseIdleConnections()
	a.client = &http.Client{Transport: transport}
	fmt.Printf("attacking %s: %s\n", a.node, name)
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := attack(ctx, a, n); err != nil && !errors.Is(err, context.Canceled) {
					a.failed.Add(1)
					pause(ctx, 20*time.Millisecond) // whoever is refused tries again
				}
			}
		})
	}
	wg.Wait()
	fmt.Printf("tried %d, refused or cut %d\n", a.tried.Load(), a.failed.Load())
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
