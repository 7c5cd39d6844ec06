package transporttest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// testImpostor: whole set-ups, with the Requester and the Handler of package p2p over the transport. First an honest
// one, which must go live. Then an impostor that carries the signalling puts the description and the candidates of
// its own transport in place of one side's: the side that it tries to deceive must not go live.
func testImpostor(t *testing.T, s Suite) {
	for name, plays := range map[string]p2p.Role{"nobody": -1, "as the Handler": p2p.Handler, "as the Requester": p2p.Requester} {
		t.Run(name, func(t *testing.T) {
			w := newSignalling()
			handler := w.run(t, s, p2p.Handler)
			defer handler()
			if plays >= 0 {
				defer w.impersonate(t, s, plays)()
			}
			requester := w.run(t, s, p2p.Requester)
			defer requester()
			if plays < 0 {
				w.await(t, p2p.Requester, "live", "")
				w.await(t, p2p.Handler, "live", "")
				return
			}
			w.await(t, 1-plays, "failed", "is not proven to be of "+string(w.runtimes[plays]))
			for _, role := range []p2p.Role{p2p.Requester, p2p.Handler} {
				if got := w.statuses(role); strings.Contains(got, "live") {
					t.Errorf("%s: %s", roleName(role), got)
				}
			}
		})
	}
}

// impersonate has a stranger's transport play the role toward the other side. What it returns ends that.
func (w *signalling) impersonate(t *testing.T, s Suite, plays p2p.Role) (stop func()) {
	options := s.Handler
	if plays == p2p.Requester {
		options = s.Requester
	}
	tr, closed := s.make(t, options)
	ctx, cancel := context.WithCancel(context.Background())
	w.impostor = &impostor{w: w, plays: plays}
	done := make(chan struct{})
	go func() {
		defer close(done)
		peer := p2p.Peer{Local: w.runtimes[plays], Remote: w.runtimes[1-plays], Role: plays}
		if c, err := tr.Connect(ctx, peer, w.impostor); err == nil {
			_ = c.Close()
		}
	}()
	return func() {
		cancel()
		<-done
		closed()
	}
}

// impostor is the signals of a stranger's transport: it reads what one side says, and writes what that side sees.
type impostor struct {
	w     *signalling
	plays p2p.Role
}

func (i *impostor) Send(ctx context.Context, sig p2p.Signal) error {
	return i.w.pretend(ctx, i.plays, sig)
}

func (i *impostor) Recv(ctx context.Context) (p2p.Signal, error) {
	l, err := i.w.said[1-i.plays].take(ctx)
	return l.signal, err
}

// testCandidates: candidates are not signed. Whatever a stranger puts into them, it changes nothing about who is
// connected: what authenticates a channel is in the descriptions.
func testCandidates(t *testing.T, s Suite) {
	requester, stopA := s.make(t, s.Requester)
	defer stopA()
	handler, stopB := s.make(t, s.Handler)
	defer stopB()
	strange := s.strangersDescription(t)
	w := newWire(t, 0)
	w.a.mix, w.b.mix = mixing(strange), mixing(strange)
	ctx, cancel := context.WithTimeout(context.Background(), s.Setup)
	defer cancel()
	a, b := s.both(ctx, requester, handler, runtimeURL("alice", 0), runtimeURL("bob", 0), w)
	defer a.close()
	defer b.close()
	if a.err != nil || b.err != nil {
		t.Fatalf("candidates with a stranger's description in them: requester: %v; handler: %v", a.err, b.err)
	}
	if err := bothWays(a.channel, b.channel, 10, 1); err != nil {
		t.Fatal(err)
	}
}

// strangersDescription is how a third transport would describe itself.
func (s Suite) strangersDescription(t *testing.T) json.RawMessage {
	t.Helper()
	tr, stop := s.make(t, s.Requester)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), s.Setup)
	defer cancel()
	w := newWire(t, 0)
	done := make(chan result, 1)
	go func() {
		done <- one(ctx, tr, p2p.Peer{Local: runtimeURL("mallory", 0), Remote: runtimeURL("bob", 0), Role: p2p.Requester}, w.a)
	}()
	l, err := w.b.in.take(ctx)
	cancel()
	(<-done).close()
	if err != nil || l.signal.Kind != p2p.Description {
		t.Fatalf("a Requester has not described itself: %v", err)
	}
	return l.signal.Value
}

// mixing makes two of each candidate: the description itself, and the candidate with the description's members.
func mixing(description json.RawMessage) func(json.RawMessage) []json.RawMessage {
	return func(candidate json.RawMessage) []json.RawMessage {
		var all, own map[string]json.RawMessage
		if json.Unmarshal(description, &all) != nil || json.Unmarshal(candidate, &own) != nil {
			return []json.RawMessage{candidate}
		}
		for name, value := range own {
			all[name] = value
		}
		return []json.RawMessage{description, message.Encode(all)}
	}
}

// await waits until a side has posted a status with why in its description.
func (w *signalling) await(t *testing.T, role p2p.Role, status, why string) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		for one := range strings.SplitSeq(w.statuses(role), "\n") {
			if strings.HasPrefix(one, status) && strings.Contains(one, why) {
				return
			}
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%s: want %s %q, got %s", roleName(role), status, why, w.statuses(role))
		}
	}
}
