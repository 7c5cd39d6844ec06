package core

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// invented is the n-th runtime of a domain without a node. Its URL looks as if it were derived from a key.
func invented(domain string, n uint64) message.URL {
	var id [20]byte
	binary.BigEndian.PutUint64(id[:], n)
	return message.URL("hyperty-runtime://" + domain + "/" + strings.ToLower(base32.StdEncoding.EncodeToString(id[:])))
}

// forged is a frame that anybody can make: a step of a handshake, a sealed frame, or random bytes.
func forged(r *rand.Rand, kind int) []byte {
	head := func(k byte) []byte {
		b := binary.BigEndian.AppendUint64([]byte{4, k}, r.Uint64()|1)
		return binary.BigEndian.AppendUint64(b, r.Uint64())
	}
	hello := func(step byte, size int) []byte { return append(append(head(1), step), make([]byte, size)...) }
	switch kind % 8 {
	case 0:
		return []byte{1}
	case 1:
		return hello(0, 0)
	case 2:
		b := hello(1, 40)
		for i := range 32 { // a public key
			b[len(b)-40+i] = byte(r.Uint32())
		}
		return append(b[:len(b)-8], b[2:10]...) // with the incarnation of the head
	case 3:
		return hello(2, 300)
	case 4:
		return hello(3, 200)
	case 5:
		return append(head(2), make([]byte, 60)...)
	case 6:
		return append([]byte{byte(r.Uint32())}, make([]byte, r.IntN(100))...)
	}
	return hello(4+byte(r.IntN(4)), r.IntN(300))
}

// node deploys the stub of a Message Node, without a process, and returns its address.
func (h *house) node(domain string) message.URL {
	url := h.URL().Join("protostub", domain)
	h.deployer.Add(registry.Deployment{URL: url, Role: sdk.RoleNode, Domain: domain})
	return url
}

// relayOf is the path over a house's Message Node.
func relayOf(h *house) session.Path { return session.Path{Door: h.relay(), Stub: h.relay()} }

func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAMillionStrangers: runtimes that a Message Node makes up leave nothing behind, and in the middle of them messages with
// an honest runtime, over the same node, go on.
func TestAMillionStrangers(t *testing.T) {
	const strangers, growth = 1_000_000, 16 << 20
	x, y := newHouses(t)
	stub := x.node("example.com")
	var got, back sync.WaitGroup
	got.Add(1)
	back.Add(1)
	to := message.URL(string(faraway) + "0")
	y.bus.Listen(to, func(context.Context, message.Message) { got.Done() })
	x.bus.Listen(to, func(context.Context, message.Message) { back.Done() })
	before := heap()
	r := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	for n := range uint64(strangers) {
		f := sdk.Frame{Peer: invented("example.com", n), Payload: forged(r, int(n))}
		x.framesIn.Take(t.Context(), stub, stub, []sdk.Frame{f})
		if n == strangers/2 { // y must pair with x now
			m := message.Message{Type: message.Update, From: y.URL().Join("registry"), To: to, ID: message.NumberID(1), Body: textOf(100)}
			if err := y.sessions.Post(t.Context(), x.URL(), relayOf(y), m); err != nil {
				t.Fatal(err)
			}
			m.From = x.URL().Join("registry")
			if err := x.sessions.Post(t.Context(), y.URL(), relayOf(x), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d frames in %v", strangers, time.Since(began))
	back.Wait()
	got.Wait()
	after := heap()
	t.Logf("the heap grew by %d KiB", (after-before)>>10)
	if after-before > growth {
		t.Errorf("the heap grew by %d bytes, more than %d", after-before, growth)
	}
	if list := x.sessions.Snapshot(); len(list) != 1 || list[0].Remote != y.URL() {
		t.Errorf("%d sessions", len(list))
	}
}

// TestWhoANodeSpeaksFor: a Message Node's frames count as from runtimes of its own domain, or, if it is this domain's node,
// of any domain; a frame in another name reaches no session.
func TestWhoANodeSpeaksFor(t *testing.T) {
	x, _ := newHouses(t)
	own, other := x.node("example.com"), x.node("other.example")
	handler := x.URL().Join("p2phandler", "beta")
	x.deployer.Add(registry.Deployment{URL: handler, Role: sdk.RoleHandler, Domain: "example.com"})
	var mu sync.Mutex
	seen := 0
	defer x.trace.Watch(func(e trace.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == trace.FrameIn {
			seen++
		}
	}, false)()
	for _, c := range []struct {
		stub, peer message.URL
		taken      bool
	}{
		{own, invented("example.com", 1), true},
		{own, invented("other.example", 1), true}, // a client of this domain's node
		{own, invented("third.example", 1), true},
		{other, invented("other.example", 1), true}, // it was reached over its own domain's node, and answers over that
		{other, invented("example.com", 1), false},
		{other, invented("third.example", 1), false},
		{other, invented("sub.other.example", 1), false},
		{other, "hyperty-runtime://other.example", false},
		{own, "hyperty-runtime://example.com/not-a-key", false},
		{own, "hyperty://example.com/bob", false},
		{own, "", false},
		{own, x.URL(), false},
		{own, x.URL().Join("registry"), false},
		{handler, invented("example.com", 1), false},
		{x.URL().Join("protostub", "nobody"), invented("example.com", 1), false},
	} {
		before := seen
		x.framesIn.Take(t.Context(), c.stub, c.stub, []sdk.Frame{{Peer: c.peer, Payload: []byte{1}}})
		if taken := seen > before; taken != c.taken {
			t.Errorf("by %s in the name of %q: taken %v", c.stub, c.peer, taken)
		}
	}
}
