package session

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// alice has the lower URL: she begins the handshakes.
var (
	aliceSelf, bobSelf = someone("a.example", 1), someone("b.example", 2)
	alice, bob         = aliceSelf.url, bobSelf.url

	relay  = Path{Door: "hyperty-runtime://a.example/alice/protostub/node", Stub: "hyperty-runtime://a.example/alice/protostub/node"}
	direct = Path{Door: "hyperty-runtime://a.example/alice/p2prequester/1", Stub: "hyperty-runtime://a.example/alice/p2prequester/1", Direct: true}
)

// letter is message number n, with a body of about size bytes.
func letter(n uint64, size int) message.Message {
	body, _ := json.Marshal(map[string]string{"text": string(make([]byte, 0, size)) + fmt.Sprintf("%0*d", max(1, size-11), n)})
	return message.Message{ID: message.NumberID(n), Type: message.Update, From: "hyperty://a.example/x", To: "hyperty://b.example/y", Body: body}
}

func number(m message.Message) (n uint64) {
	fmt.Sscan(m.ID.String(), &n)
	return n
}

// pairOf are two runtimes joined by a wire that the test holds: every frame goes through hook, which returns the
// frames that go on.
type pairOf struct {
	a, b   *Sessions
	mu     sync.Mutex
	hookMu sync.Mutex // is held while hook runs
	got    []uint64   // what b delivered
	evs    []Event    // of a
	hook   func(fromA bool, path Path, frame []byte) [][]byte
	bad    func(ctx context.Context, path Path) error // what a's Send does instead, where it is not nil
}

func newPair(t *testing.T, o Options, hook func(fromA bool, path Path, frame []byte) [][]byte) *pairOf {
	t.Helper()
	p := &pairOf{hook: hook}
	oa, ob := o, o
	oa.Self, oa.Key, ob.Self, ob.Key = alice, aliceSelf.key, bob, bobSelf.key
	carry := func(fromA bool, path Path, frame []byte) {
		frames := [][]byte{frame}
		p.sync(func() {
			if p.hook != nil {
				frames = p.hook(fromA, path, append([]byte(nil), frame...))
			}
		})
		for _, f := range frames {
			f = append([]byte(nil), f...)
			if fromA {
				p.runtime(1).Receive(t.Context(), alice, path, f)
			} else {
				p.runtime(0).Receive(t.Context(), bob, path, f)
			}
		}
	}
	oa.Send = func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
		if remote != bob {
			return nil // nobody is there
		}
		p.mu.Lock()
		bad := p.bad
		p.mu.Unlock()
		if bad != nil && path == direct {
			return bad(ctx, path)
		}
		for _, f := range frames {
			carry(true, path, f)
		}
		return nil
	}
	ob.Send = func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
		if remote != alice {
			return nil
		}
		for _, f := range frames {
			carry(false, path, f)
		}
		return nil
	}
	oa.Acceptor = taking(func(context.Context, message.URL, message.Message) {})
	if ob.Acceptor == nil {
		ob.Acceptor = taking(func(_ context.Context, _ message.URL, m message.Message) {
			p.mu.Lock()
			p.got = append(p.got, number(m))
			p.mu.Unlock()
		})
	}
	oa.Events = func(e Event) {
		p.mu.Lock()
		p.evs = append(p.evs, e)
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.a, p.b = New(oa), New(ob)
	return p
}

func (p *pairOf) runtime(i int) *Sessions {
	p.mu.Lock()
	defer p.mu.Unlock()
	return []*Sessions{p.a, p.b}[i]
}

// end is one side's session; an empty one where there is none yet.
func (p *pairOf) end(ofA bool) *session {
	s, remote := p.runtime(1), alice
	if ofA {
		s, remote = p.runtime(0), bob
	}
	if one := s.find(remote); one != nil {
		return one
	}
	return newSession(&s.shared, remote, s.current())
}

// peek reads a frame that a test has caught.
func (p *pairOf) peek(t *testing.T, fromA bool, frame []byte) (h wire.Head, f wire.Fields, messages uint64) {
	t.Helper()
	h, f, rest := p.end(fromA).read(t, frame)
	e, err := wire.Measure(rest, 0)
	if err != nil {
		t.Fatal(err)
	}
	return h, f, e.Count
}

// again is the frame as its sender could have sent it once more: sealed anew, so that it is no replay.
func (p *pairOf) again(t *testing.T, fromA bool, frame []byte) []byte {
	t.Helper()
	h, f, messages := p.end(fromA).read(t, frame)
	if h.Kind == wire.Hello {
		return append([]byte(nil), frame...)
	}
	return p.end(fromA).sealNext(h.Kind, f, messages)
}

// restart makes a new life of one side.
func (p *pairOf) restart(one **Sessions, ctx context.Context) {
	o := (*one).o
	o.Incarnation = 0
	(*one).Close(ctx)
	s := New(o)
	p.mu.Lock()
	*one = s
	p.mu.Unlock()
}

// sync runs f while no hook does.
func (p *pairOf) sync(f func()) {
	p.hookMu.Lock()
	defer p.hookMu.Unlock()
	f()
}

func (p *pairOf) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	p.a.Close(ctx)
	p.b.Close(ctx)
}

func (p *pairOf) post(t *testing.T, path Path, from, to uint64) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := p.a.Post(t.Context(), bob, path, letter(n, 40)); err != nil {
			t.Fatalf("post %d: %v", n, err)
		}
	}
}

func (p *pairOf) delivered() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]uint64(nil), p.got...)
}

func (p *pairOf) events(k EventKind) (out []Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.evs {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

func wantRun(t *testing.T, got []uint64, from, to uint64) {
	t.Helper()
	if uint64(len(got)) != to-from+1 {
		t.Fatalf("delivered %d messages %v, want %d to %d", len(got), got, from, to)
	}
	for i, n := range got {
		if n != from+uint64(i) {
			t.Fatalf("delivered %v, want %d to %d in order", got, from, to)
		}
	}
}

// lookup is the session with remote, which exists.
func (s *Sessions) lookup(remote message.URL) *session {
	one, err := s.session(remote)
	if err != nil {
		panic(err)
	}
	return one
}

// came is a message that has come to an each.
type came struct {
	minibus.Delivery
	Remote message.URL
	Wait   bool // the each may wait
}

// each is an Acceptor that takes messages one by one. It is false where it would have to wait.
type each func(ctx context.Context, d *came) bool

func (f each) TryAccept(remote message.URL, run []minibus.Delivery) (taken int) {
	for taken < len(run) && f(context.Background(), &came{run[taken], remote, false}) {
		taken++
	}
	return taken
}

func (f each) Accept(ctx context.Context, remote message.URL, d *minibus.Delivery) {
	f(ctx, &came{*d, remote, true})
}

// taking is an Acceptor that takes every message at once.
type taking func(ctx context.Context, remote message.URL, m message.Message)

func (f taking) TryAccept(remote message.URL, run []minibus.Delivery) (taken int) {
	for i := range run {
		f.Accept(context.Background(), remote, &run[i])
	}
	return len(run)
}

func (f taking) Accept(ctx context.Context, remote message.URL, d *minibus.Delivery) {
	f(ctx, remote, d.Message)
	d.Receipt.Taken()
}

// inRuns is an Acceptor that takes messages one by one, and the first of several by another function.
type inRuns struct {
	each
	run func(remote message.URL, run []minibus.Delivery) int
}

func (r inRuns) TryAccept(remote message.URL, run []minibus.Delivery) (taken int) {
	if len(run) > 1 {
		taken = r.run(remote, run)
	}
	return taken + r.each.TryAccept(remote, run[taken:])
}

// items are messages as they are in a frame.
func items(list ...message.Message) []byte {
	s := sender.New(sender.Options{FrameBytes: 4 << 20})
	for i := range list {
		m := &list[i]
		s.Push(s.To(wire.KeyOf(m)), m, 0, false, 0)
	}
	s.Acknowledged(&wire.Fields{Next: 1, Room: wire.MaxNumber})
	return s.Pack(nil)
}
