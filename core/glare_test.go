package core_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Seven runtimes meet each other, every two once and with both sides at once. Each pair ends up with one connection, and both
// agree which.
func TestBothSidesAskAtOnce(t *testing.T) {
	t.Parallel()
	bothSidesAskAtOnce(t, 7)
}

// Twenty-one runtimes meet 210 times.
func TestLongBothSidesAskAtOnce(t *testing.T) {
	longtest.Skip(t)
	bothSidesAskAtOnce(t, 21)
}

// bothSidesAskAtOnce has an odd number of runtimes meet.
func bothSidesAskAtOnce(t *testing.T, players int) {
	node := startNode(t, "example.com")
	all := make([]*running, players)
	use := []string{built.transportIDs[0]}
	hyperties := make([]*hyperty.Hyperty, players)
	for i := range all {
		name := "p" + string(rune('a'+i))
		all[i] = startRuntime(t, runtimeOptions{name: name, nodes: []*nodeProcess{node}, use: use})
		hyperties[i] = all[i].register(name)
	}
	met, glares := 0, 0
	for _, round := range tournament(players) {
		var wg sync.WaitGroup
		pairs := make([]*meeting, len(round))
		for i, p := range round {
			pairs[i] = newMeeting(all[p[0]], all[p[1]], hyperties[p[0]], hyperties[p[1]])
			wg.Go(func() { pairs[i].send(t, 10) })
		}
		wg.Wait()
		for _, p := range pairs {
			p.settle(t)
			met++
			if p.check(t) {
				glares++
			}
		}
	}
	t.Logf("%d meetings, in %d of them both sides requested", met, glares)
	if glares < met/2 {
		t.Errorf("only in %d of %d meetings both sides requested: this test does not test what it should", glares, met)
	}
	for i, r := range all { // connections that lost have gone, and none was replaced later
		requesters := 0
		for _, c := range r.status().Connections {
			// One attempt, and one that won over it; on a busy machine each side may have run into a time-out once.
			if c.State != message.Live || c.Attempts < 1 || c.Attempts > 4 {
				t.Errorf("connection %+v", c)
			}
			if !r.isHandler(c.Stub) {
				requesters++
			}
		}
		r.until("the Requesters that lost are gone", waitTime, func() bool {
			n := 0
			for _, s := range r.status().Stubs {
				if s.Role == "requester" {
					n++
				}
			}
			return n == requesters
		})
		if n := len(r.status().Connections); n != players-1 {
			t.Errorf("runtime %d has %d connections, want %d", i, n, players-1)
		}
	}
}

// tournament pairs every two of n (an odd number), in rounds in which nobody occurs twice.
func tournament(n int) (rounds [][][2]int) {
	for r := range n {
		var round [][2]int
		for i := 1; i <= n/2; i++ {
			round = append(round, [2]int{(r + i) % n, (r - i + n) % n})
		}
		rounds = append(rounds, round)
	}
	return rounds
}

// meeting is a pair whose sides send at once.
type meeting struct {
	a, b *running
	ways [2]*way
}

func newMeeting(a, b *running, ha, hb *hyperty.Hyperty) *meeting {
	return &meeting{a: a, b: b, ways: [2]*way{{from: ha, to: hb, got: newLedger(hb)}, {from: hb, to: ha, got: newLedger(ha)}}}
}

// send has both sides send at once.
func (m *meeting) send(t *testing.T, messages int) {
	var both sync.WaitGroup
	for _, w := range m.ways {
		both.Go(func() {
			for range messages {
				w.sent++
				if err := w.from.Send(t.Context(), w.to.URL(), map[string]int{"n": w.sent}); err != nil {
					t.Errorf("message %d to %s: %v", w.sent, w.to.URL(), err)
					return
				}
			}
		})
	}
	both.Wait()
}

// settle waits for the connection, and sends messages over it.
func (m *meeting) settle(t *testing.T) {
	t.Helper()
	for !m.a.isLive(m.b) || !m.b.isLive(m.a) {
		m.a.live(m.b)
		m.b.live(m.a)
		m.send(t, 1)
	}
	m.send(t, 20)
	for _, w := range m.ways {
		w.got.reach(t, w.sent)
	}
}

// check compares the tables of both sides; both: both sides had requested.
func (m *meeting) check(t *testing.T) (both bool) {
	t.Helper()
	requester, handler := mutual(t, m.a, m.b)
	both = m.a.requested(m.b) && m.b.requested(m.a)
	if both && requester.URL() > handler.URL() {
		t.Errorf("both asked, and the higher URL is the requester: %s of %s", requester.URL(), handler.URL())
	}
	if !requester.requested(handler) {
		t.Errorf("%s has a Requester for %s and has not asked", requester.URL(), handler.URL())
	}
	return both
}

// requested tells whether this side made a Requester for the other.
func (r *running) requested(other *running) bool {
	return r.count(func(e trace.Event) bool {
		return e.Kind == trace.Connection && e.Peer == other.URL() && strings.Contains(string(e.From), "/p2prequester/")
	}) > 0
}
