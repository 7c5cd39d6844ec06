package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

const (
	runtimeA message.URL = "hyperty-runtime://example.com/a"
	runtimeB message.URL = "hyperty-runtime://example.com/b"
)

// wire is one side's p2p.Signals in memory. change, if set, alters what it sends.
type wire struct {
	out, in chan p2p.Signal
	change  func(p2p.Signal) p2p.Signal
}

func newWires() (a, b *wire) {
	there, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
	return &wire{out: there, in: back}, &wire{out: back, in: there}
}

func (w *wire) Send(ctx context.Context, s p2p.Signal) error {
	if w.change != nil {
		s = w.change(s)
	}
	select {
	case w.out <- s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *wire) Recv(ctx context.Context) (p2p.Signal, error) {
	select {
	case s := <-w.in:
		return s, nil
	case <-ctx.Done():
		return p2p.Signal{}, ctx.Err()
	}
}

// altered changes members of the description that a side sends.
func altered(change func(*descriptionForm)) func(p2p.Signal) p2p.Signal {
	return func(s p2p.Signal) p2p.Signal {
		if s.Kind != p2p.Description {
			return s
		}
		var form descriptionForm
		if err := json.Unmarshal(s.Value, &form); err != nil {
			panic(err)
		}
		change(&form)
		s.Value, _ = json.Marshal(form)
		return s
	}
}

// patience bounds what should happen at once: a busy machine takes its time.
const patience = 30 * time.Second

// within is a context that ends with the test, or after d.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// start makes a Transport with the options, closed when the test ends.
func start(t testing.TB, options string) *Transport {
	t.Helper()
	return startWith(t, options, usualLiveness())
}

func startWith(t testing.TB, options string, alive liveness) *Transport {
	t.Helper()
	level := hclog.Off
	if os.Getenv("PROTOFLY_TEST_LOG") != "" {
		level = hclog.Trace
	}
	made, err := openTransport(p2p.Config{Options: json.RawMessage(options), Log: hclog.New(&hclog.LoggerOptions{Level: level})}, alive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return made.(*Transport)
}

// ended is how one call of Connect ended.
type ended struct {
	channel p2p.Channel
	err     error
}

// both runs Connect on both sides and gives what each returned.
func both(ctx context.Context, a, b *Transport, wa, wb *wire) (requester, handler ended) {
	done := make(chan ended, 1)
	go func() {
		c, err := b.Connect(ctx, p2p.Peer{Local: runtimeB, Remote: runtimeA, Role: p2p.Handler}, wb)
		done <- ended{c, err}
	}()
	c, err := a.Connect(ctx, p2p.Peer{Local: runtimeA, Remote: runtimeB, Role: p2p.Requester}, wa)
	return ended{c, err}, <-done
}

// connected gives both ends of a channel over a and b.
func connected(t testing.TB, a, b *Transport) (requester, handler p2p.Channel) {
	t.Helper()
	wa, wb := newWires()
	x, y := both(within(t, patience), a, b, wa, wb)
	if x.err != nil || y.err != nil {
		t.Fatalf("requester: %v; handler: %v", x.err, y.err)
	}
	t.Cleanup(func() {
		_ = x.channel.Close()
		_ = y.channel.Close()
	})
	return x.channel, y.channel
}

// exchange sends a frame each way and checks what comes.
func exchange(ctx context.Context, a, b p2p.Channel, text string) error {
	for _, way := range [][2]p2p.Channel{{a, b}, {b, a}} {
		if err := way[0].Send(ctx, []byte(text)); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		got, err := way[1].Recv(ctx)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if string(got) != text {
			return fmt.Errorf("got %q, want %q", got, text)
		}
	}
	return nil
}
