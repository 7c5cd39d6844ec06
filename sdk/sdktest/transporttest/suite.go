package transporttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// Suite is what the tests need to know of a transport. Only New must be set.
type Suite struct {
	New p2p.New
	// The operator's options of the two sides, each an object or empty.
	Requester, Handler json.RawMessage
	// Spoil changes the certificate hash in a description. Nil: every SHA-256 in hexadecimal (64 digits, with or
	// without colons) that is found in its text becomes another one.
	Spoil func(description json.RawMessage) json.RawMessage
	// Setup is how long a Connect may take. 0: 15 s.
	Setup time.Duration
	// Dead is how long a peer's death may go unnoticed. 0: 15 s, as p2p.Channel promises; more is not conforming.
	Dead time.Duration
	// Hasty makes transports that notice silence sooner than those of New do, for the test of dead peers alone: it takes
	// less time, and Dead is theirs. Nil: New. Tests that set it should also call [DeadPeer] without it, where tests may take long.
	Hasty p2p.New
	// Buffered is how many bytes may be under way to a peer that does not read, before its sender blocks. 0: 64 MiB.
	Buffered int
	// Parallel is the number of set-ups at once. 0: 50.
	Parallel int
	// Log receives what the transports log. Nil: nothing is shown but errors.
	Log hclog.Logger
}

func (s Suite) withDefaults() Suite {
	if s.Spoil == nil {
		s.Spoil = spoilHashes
	}
	if s.Setup == 0 {
		s.Setup = 15 * time.Second
	}
	if s.Dead == 0 {
		s.Dead = 15 * time.Second
	}
	if s.Hasty == nil {
		s.Hasty = s.New
	}
	if s.Buffered == 0 {
		s.Buffered = 64 << 20
	}
	if s.Parallel == 0 {
		s.Parallel = 50
	}
	if s.Log == nil {
		s.Log = hclog.New(&hclog.LoggerOptions{Name: "transport", Level: hclog.Error, Output: os.Stderr})
	}
	return s
}

// Run runs the whole suite as subtests of t, each with transports of its own: one after the other, then those that wait most
// of their time, side by side. With -short the tests of dead peers are left out: they take up to 15 s.
func Run(t *testing.T, s Suite) {
	s = s.withDefaults()
	if os.Getenv(peerEnv) != "" {
		s.playPeer(t)
		return
	}
	for _, c := range []subtest{
		{"sizes", testSizes},
		{"order both ways", testOrder},
		{"too large", testTooLarge},
		{"late signals", testLateSignals},
		{"both request", testBothRequest},
		{"again", testAgain},
		{"many peers", testManyPeers},
		{"parallel connects", testParallel},
		{"prompt", testPrompt},
		{"close is EOF", testCloseIsEOF},
		{"transport close", testTransportClose},
		{"garbage description", testGarbage},
		{"candidates of a stranger", testCandidates},
		{"impostor", testImpostor},
		{"canceled", testCanceled},
		{"options", testOptions},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer noLeaks(t)()
			c.run(t, s)
		})
	}
	waiting := []subtest{
		{"backpressure", testBackpressure},
		{"send gives up with ctx", testSendGivesUp},
		{"close frees the blocked", testCloseFrees},
		{"wrong certificate", testWrongCertificate},
	}
	if !testing.Short() {
		waiting = append(waiting, subtest{"dead peer", testDeadPeer})
	}
	t.Cleanup(noLeaks(t)) // after all of them
	for _, c := range waiting {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, s)
		})
	}
}

type subtest struct {
	name string
	run  func(*testing.T, Suite)
}

// DeadPeer runs the test of dead peers alone, as Run does, with the transports of Suite.Hasty or else of Suite.New.
func DeadPeer(t *testing.T, s Suite) {
	s = s.withDefaults()
	if os.Getenv(peerEnv) != "" {
		s.playPeer(t)
		return
	}
	defer noLeaks(t)()
	t.Run("dead peer", func(t *testing.T) { testDeadPeer(t, s) })
}

// noLeaks remembers the goroutines that are there; what it returns fails t where there are more.
func noLeaks(t *testing.T) func() {
	before := goleak.IgnoreCurrent()
	return func() {
		if err := goleak.Find(before); err != nil && !t.Failed() {
			t.Errorf("goroutines are left after the transports were closed: %v", err)
		}
	}
}

// The addresses of the two sides; peers beside them have a number.
func runtimeURL(name string, i int) message.URL {
	return message.URL(fmt.Sprintf("hyperty-runtime://example.com/%s-%d", name, i))
}

// make makes a transport. The returned stop closes it, and may be called twice.
func (s Suite) make(t testing.TB, options json.RawMessage) (tr p2p.Transport, stop func()) {
	t.Helper()
	tr, err := s.New(p2p.Config{Options: options, Log: s.Log})
	if err != nil {
		t.Fatalf("making the transport: %v", err)
	}
	return tr, func() {
		done := make(chan error, 1)
		go func() { done <- tr.Close() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Transport.Close: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Transport.Close has not returned within 10 s")
		}
	}
}

// pair is two transports and the channel between them.
type pair struct {
	requester, handler p2p.Transport
	a, b               p2p.Channel // the Requester's end, the Handler's end
}

// pair makes two transports and connects them. stop closes both.
func (s Suite) pair(t testing.TB) (p pair, stop func()) {
	t.Helper()
	var stopA, stopB func()
	p.requester, stopA = s.make(t, s.Requester)
	p.handler, stopB = s.make(t, s.Handler)
	stop = func() { stopA(); stopB() }
	var err error
	if p.a, p.b, err = s.connect(t, p.requester, p.handler, 0, 0); err != nil {
		stop()
		t.Fatalf("connecting: %v", err)
	}
	return p, stop
}

// connect sets up the i-th channel between two transports; every signal comes delay late.
func (s Suite) connect(t testing.TB, requester, handler p2p.Transport, i int, delay time.Duration) (a, b p2p.Channel, err error) {
	return s.connectAs(t, requester, handler, runtimeURL("alice", i), runtimeURL("bob", i), delay)
}

// connectAs sets up a channel between two transports, whose runtimes have these URLs.
func (s Suite) connectAs(t testing.TB, requester, handler p2p.Transport, alice, bob message.URL, delay time.Duration) (a, b p2p.Channel, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Setup)
	defer cancel()
	ra, rb := s.both(ctx, requester, handler, alice, bob, newWire(t, delay))
	if ra.err == nil && rb.err == nil {
		return ra.channel, rb.channel, nil
	}
	ra.close()
	rb.close()
	return nil, nil, fmt.Errorf("requester: %v; handler: %v", ra.err, rb.err)
}

// result is what a Connect returned.
type result struct {
	channel p2p.Channel
	err     error
	took    time.Duration
}

func (r result) close() {
	if r.channel != nil {
		_ = r.channel.Close()
	}
}

// both runs the Connects of the two sides side by side.
func (s Suite) both(ctx context.Context, requester, handler p2p.Transport, alice, bob message.URL, w *wire) (a, b result) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b = one(ctx, handler, p2p.Peer{Local: bob, Remote: alice, Role: p2p.Handler}, w.b)
	}()
	a = one(ctx, requester, p2p.Peer{Local: alice, Remote: bob, Role: p2p.Requester}, w.a)
	<-done
	return a, b
}

// one is one side's Connect; its Signals may not be used afterwards.
func one(ctx context.Context, tr p2p.Transport, peer p2p.Peer, end *end) (r result) {
	start := time.Now()
	r.channel, r.err = tr.Connect(ctx, peer, end)
	r.took = time.Since(start)
	end.over.Store(true)
	if r.err == nil && r.channel == nil {
		r.err = fmt.Errorf("neither a channel nor an error came from Connect")
	}
	return r
}

// echo sends one frame from a to b and checks that it is what b gets.
func echo(ctx context.Context, a, b p2p.Channel, payload []byte) error {
	sent := make(chan error, 1)
	go func() { sent <- a.Send(ctx, payload) }()
	got, err := b.Recv(ctx)
	if err != nil {
		return fmt.Errorf("Recv: %w (Send: %v)", err, <-sent)
	}
	if err := <-sent; err != nil {
		return fmt.Errorf("Send: %w", err)
	}
	if !bytes.Equal(got, payload) {
		return fmt.Errorf("sent %d bytes, received %d others", len(payload), len(got))
	}
	return nil
}

// recvError waits for the error that ends a channel; frames before it are dropped.
func recvError(c p2p.Channel, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		if _, err := c.Recv(ctx); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("nothing was noticed within %v", within)
			}
			return err
		}
	}
}
