package transport

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// together sets up a connection between two transports; there and back carry the signals.
func together(t testing.TB, a, b *Transport, there, back chan p2p.Signal, mine p2p.Signals) (x, y p2p.Channel) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		y, err = b.Connect(ctx, p2p.Peer{Local: bob, Remote: alice, Role: p2p.Handler}, wire{back, there})
		done <- err
	}()
	x, err := a.Connect(ctx, p2p.Peer{Local: alice, Remote: bob + message.URL(b.id), Role: p2p.Requester}, mine)
	if other := <-done; err != nil || other != nil {
		t.Fatalf("requester: %v; handler: %v", err, other)
	}
	return x, y
}

// withoutCandidates are the signals of a Requester that gets packets of the Handler before the Handler's candidates.
type withoutCandidates struct{ wire }

func (w withoutCandidates) Recv(ctx context.Context) (p2p.Signal, error) {
	for {
		s, err := w.wire.Recv(ctx)
		if err != nil || s.Kind != p2p.Candidate {
			return s, err
		}
	}
}

// A Handler whose packets come before its candidates is used at once. The library would wait a second each time; so, on a busy
// machine, it is enough that one of several set-ups is quicker.
func TestPeerHeardFirst(t *testing.T) {
	best := time.Hour
	for range 5 {
		there, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
		a, b := transportFor(t), transportFor(t)
		began := time.Now()
		together(t, a, b, there, back, withoutCandidates{wire{there, back}})
		best = min(best, time.Since(began))
	}
	if best >= time.Second {
		t.Errorf("the quickest of five set-ups took %v", best)
	}
}

// Set-ups between two transports over all of this machine's addresses: the slow ones matter.
func BenchmarkSetUp(b *testing.B) {
	var took []time.Duration
	for b.Loop() {
		x, err := open(p2p.Config{}, usualLiveness())
		if err != nil {
			b.Fatal(err)
		}
		y, err := open(p2p.Config{}, usualLiveness())
		if err != nil {
			b.Fatal(err)
		}
		there, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
		began := time.Now()
		together(b, x, y, there, back, wire{there, back})
		took = append(took, time.Since(began))
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
		if err := y.Close(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	for name, part := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99, "max-ms": 1} {
		at := took[min(int(part*float64(len(took))), len(took)-1)]
		b.ReportMetric(float64(at.Microseconds())/1000, name)
	}
	b.ReportMetric(0, "ns/op")
}
