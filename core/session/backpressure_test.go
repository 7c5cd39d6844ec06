package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// TestBackpressure: a full ring makes Post wait, and refuse when ctx ends; waiting posters keep their order.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := true
		p := newPair(t, Options{RingBytes: 2000}, nil)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if deaf {
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		n := uint64(0)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			err := p.a.Post(ctx, bob, relay, letter(n+1, 40))
			cancel()
			if errors.Is(err, ErrBackpressure) {
				break
			} else if err != nil || n > 100 {
				t.Fatal(n, err)
			}
			n++
		}
		if st := p.a.Snapshot()[0]; st.RingBytes > 2000 || st.Unacked != int(n) {
			t.Fatalf("state %+v after %d", st, n)
		}
		for i := n + 1; i <= n+50; i++ {
			go p.a.Post(t.Context(), bob, relay, letter(i, 40))
			synctest.Wait()
		}
		p.sync(func() { deaf = false })
		time.Sleep(10 * time.Second)
		wantRun(t, p.delivered(), 1, n+50)
	})
}

// TestWaitedPath: a message that has waited for room while the path changed does not take the session back to the one
// that was the best when it was posted.
func TestWaitedPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := true
		p := newPair(t, Options{RingBytes: 2000}, nil)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if deaf {
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		const n = 60
		for i := range uint64(n) {
			go p.a.Post(t.Context(), bob, relay, letter(i+1, 40))
			synctest.Wait()
		}
		p.a.UsePath(bob, direct)
		p.sync(func() { deaf = false })
		time.Sleep(10 * time.Second)
		wantRun(t, p.delivered(), 1, n)
		if st := p.a.Snapshot()[0]; st.Path != direct {
			t.Errorf("on %v", st.Path)
		}
	})
}

// TestTotal: the rings of all remote runtimes together are bounded, and room in one lets posters to another go on.
func TestTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{Totals: Totals{Bytes: 2000}}, nil)
		defer p.close(t)
		var deaf atomic.Bool
		deaf.Store(true)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if deaf.Load() {
				return nil
			}
			return [][]byte{f}
		}
		for n := uint64(1); p.a.memory.Sending() < 1800; n++ {
			p.post(t, relay, n, n)
		}
		const carol message.URL = "hyperty-runtime://c.example/carol"
		done := make(chan error, 1)
		go func() { done <- p.a.Post(t.Context(), carol, relay, letter(1, 200)) }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("went over the total")
		}
		deaf.Store(false)
		time.Sleep(time.Second)
		if len(done) != 1 || <-done != nil {
			t.Fatal("still waits though there is room")
		}
		p.a.lookup(carol).lock()
		p.a.lookup(carol).m.given(p.a.lookup(carol).m.send.DropAll(), Expired, "test", p.a.now())
		p.a.lookup(carol).unlock()
	})
}

// TestSlowListener: a listener that takes its time bounds what waits for it at the receiver, and in the end makes Post
// wait; nothing is lost, and it goes on at once when the listener does.
func TestSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got atomic.Int64
		gate := make(chan struct{})
		o := Options{InboxBytes: 8 << 10, RingBytes: 8 << 10, FrameBytes: 1 << 10, TTL: time.Hour,
			Acceptor: closedUntil(gate, &got)}
		p := newPair(t, o, nil)
		posted := p.fill(t, "")
		st := p.b.Snapshot()[0]
		if st.InboxBytes > o.InboxBytes/4 || st.InboxBytes < o.InboxBytes/5 { // its share
			t.Errorf("inbox of %d bytes, want about a quarter of %d", st.InboxBytes, o.InboxBytes)
		}
		time.Sleep(20 * time.Second)
		close(gate)
		awaitCount(t, &got, posted, 100*time.Millisecond)
		p.close(t)
	})
}

// fill posts to a destination until that would have to wait, and says how many it were.
func (p *pairOf) fill(t *testing.T, to message.URL) (posted int) {
	t.Helper()
	for {
		m := letter(uint64(posted)+1, 40)
		if to != "" {
			m.To = to
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := p.a.Post(ctx, bob, relay, m)
		cancel()
		if errors.Is(err, ErrBackpressure) {
			if !strings.Contains(err.Error(), string(m.To)) {
				t.Errorf("the error does not name the destination: %v", err)
			}
			return posted
		}
		if err != nil {
			t.Fatal(err)
		}
		posted++
	}
}

// closedUntil is an Acceptor whose listener takes nothing until gate is closed, and counts what it takes then.
func closedUntil(gate <-chan struct{}, got *atomic.Int64) Acceptor {
	return each(func(ctx context.Context, d *came) bool {
		select {
		case <-gate:
		default:
			if !d.Wait { // the caller may be Receive, which waits for no listener
				return false
			}
			select {
			case <-gate:
			case <-ctx.Done():
				return true
			}
		}
		got.Add(1)
		d.Receipt.Taken()
		return true
	})
}

// awaitCount waits until n is want, and fails where that takes longer than limit.
func awaitCount(t *testing.T, n *atomic.Int64, want int, limit time.Duration) {
	t.Helper()
	start := time.Now()
	for int(n.Load()) < want && time.Since(start) < time.Minute {
		time.Sleep(time.Millisecond)
	}
	if int(n.Load()) != want || time.Since(start) > limit {
		t.Errorf("%d of %d after %v, at most %v are allowed", n.Load(), want, time.Since(start), limit)
	}
}

// TestFullAcceptor: a receiver that has no room at all drops what comes, and asks for it as soon as there is room again,
// whatever it has told meanwhile.
func TestFullReceiver(t *testing.T) {
	for _, probes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var got atomic.Int64
			gate := make(chan struct{})
			o := Options{FrameBytes: 1 << 10, TTL: time.Hour,
				Acceptor: closedUntil(gate, &got)}
			p := newPair(t, o, nil)
			p.b.memory.Limit(8 << 10) // less than it says: others fill it
			const posted = 1000
			p.post(t, relay, 1, posted)
			time.Sleep(30 * time.Second)
			if st := p.b.Snapshot()[0]; st.InboxBytes > 12<<10 {
				t.Errorf("inbox of %d bytes, at most about 8 KiB are allowed", st.InboxBytes)
			}
			if probes { // it has told of room before half of it has come back
				time.Sleep(1900 * time.Millisecond)
			}
			close(gate)
			awaitCount(t, &got, posted, 500*time.Millisecond)
			p.close(t)
		})
	}
}

// slowFolk is a receiver with applications of which some are stuck until they are released.
type slowFolk struct {
	mu    sync.Mutex
	got   map[message.URL][]uint64
	stuck map[message.URL][]minibus.Receipt
	limit int           // how many messages a stuck one takes in
	free  chan struct{} // closed when they are released
}

func newSlowFolk(limit int) *slowFolk {
	return &slowFolk{got: map[message.URL][]uint64{}, stuck: map[message.URL][]minibus.Receipt{}, limit: limit, free: make(chan struct{})}
}

// deliver is their Options.Acceptor.
func (f *slowFolk) deliver(ctx context.Context, d *came) bool {
	to := d.Message.To
	slow := strings.Contains(string(to), "slow")
	f.mu.Lock()
	select {
	case <-f.free:
		slow = false
	default:
	}
	if slow && len(f.stuck[to]) >= f.limit {
		f.mu.Unlock()
		if !d.Wait {
			return false
		}
		select {
		case <-f.free:
		case <-ctx.Done():
			return true
		}
		f.mu.Lock()
		slow = false
	}
	defer f.mu.Unlock()
	f.got[to] = append(f.got[to], number(d.Message))
	if slow {
		f.stuck[to] = append(f.stuck[to], d.Receipt)
	} else {
		d.Receipt.Taken()
	}
	return true
}

func (f *slowFolk) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.free)
	for _, list := range f.stuck {
		for _, r := range list {
			r.Taken()
		}
	}
}

func (f *slowFolk) has(to message.URL) []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]uint64(nil), f.got[to]...)
}

func citizen(kind string, n int) message.URL {
	return message.URL(fmt.Sprintf("hyperty://b.example/%s%d", kind, n))
}

// TestSlowAmongFast: however many applications take nothing, others get thousands of messages undisturbed; what waits is
// bounded, who posts to a slow one is told, and when they go on everything has come, in order.
func TestSlowAmongFast(t *testing.T) {
	for _, slow := range []int{1, 10, 100} {
		synctest.Test(t, func(t *testing.T) {
			folk := newSlowFolk(3)
			p := newPair(t, Options{InboxBytes: 256 << 10, RingBytes: 64 << 10, Acceptor: each(folk.deliver)}, nil)
			posted := map[message.URL]int{}
			for n := range slow {
				posted[citizen("slow", n)] = p.fill(t, citizen("slow", n))
			}
			waiting := make(chan error, 1)
			go func() {
				m := letter(uint64(posted[citizen("slow", 0)])+1, 40)
				m.To = citizen("slow", 0)
				waiting <- p.a.Post(t.Context(), bob, relay, m)
			}()
			synctest.Wait()
			start := time.Now()
			for n := range 5000 {
				m := letter(uint64(n)+1, 40)
				m.To = citizen("fast", 0)
				if err := p.a.Post(t.Context(), bob, relay, m); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(50 * time.Millisecond)
			wantRun(t, folk.has(citizen("fast", 0)), 1, 5000)
			if took := time.Since(start); took > time.Second {
				t.Errorf("%d slow ones: 5,000 messages to a fast one took %v", slow, took)
			}
			st, there := p.a.Snapshot()[0], p.b.Snapshot()[0]
			if there.InboxBytes > 256<<10 || there.InboxBytes < 60<<10 || len(there.Held) == 0 {
				t.Errorf("at the receiver: %+v", there)
			}
			if st.Unacked != 0 || len(st.HeldUp) != 1 || st.HeldUp[0].To != citizen("slow", 0) || st.HeldUp[0].Posters != 1 ||
				st.HeldUp[0].Messages != posted[citizen("slow", 0)] {
				t.Errorf("at the sender: %+v", st)
			}
			folk.release()
			if err := <-waiting; err != nil {
				t.Error(err)
			}
			posted[citizen("slow", 0)]++
			time.Sleep(time.Second)
			for who, n := range posted {
				wantRun(t, folk.has(who), 1, uint64(n))
			}
			if st := p.a.Snapshot()[0]; st.Outstanding != 0 || len(st.HeldUp) != 0 {
				t.Errorf("at the sender in the end: %+v", st)
			}
			if there := p.b.Snapshot()[0]; there.InboxBytes != 0 || len(there.Held) != 0 {
				t.Errorf("at the receiver in the end: %+v", there)
			}
			p.close(t)
		})
	}
}

// TestTooManyHeldUp: beyond the limit all wait, and nothing is lost or out of order.
func TestTooManyHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folk := newSlowFolk(0)
		p := newPair(t, Options{TTL: time.Hour, Acceptor: each(folk.deliver)}, nil)
		for n := range 2 * deliver.MaxBehind {
			for i := range 3 {
				m := letter(uint64(i)+1, 40)
				m.To = citizen("slow", n)
				if err := p.a.Post(t.Context(), bob, relay, m); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Minute)
		folk.release()
		time.Sleep(time.Second)
		for n := range 2 * deliver.MaxBehind {
			wantRun(t, folk.has(citizen("slow", n)), 1, 3)
		}
		p.close(t)
	})
}
