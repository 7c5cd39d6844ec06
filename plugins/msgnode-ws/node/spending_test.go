package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/web"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Requests beyond what a connection may ask for are refused with a time to try again; another connection is not held up.
func TestRequestsOfOneConnection(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Limits: Limits{Requests: 10}})
	mallory, alice := n.join(t, 1), n.join(t, 2)
	refused := 0
	for i := range 200 {
		mallory.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Read, From: mallory.runtime, To: lookups, Body: json.RawMessage(`{"resource":"hyperty://example.com/none"}`)})
	}
	for range 200 {
		m := mallory.message()
		var b struct {
			Code, Retry int
			Description string
		}
		if err := m.Decode(&b); err != nil {
			t.Fatal(err)
		}
		if b.Code == 429 {
			if refused++; b.Retry < 1 || !strings.Contains(b.Description, "try again in") {
				t.Fatalf("%s", m.Body)
			}
		}
	}
	if refused < 5 {
		t.Errorf("%d of 200 were refused", refused)
	}
	alice.sync()
}

// A flood that is refused is read slowly, so that refusing it costs little.
func TestFloodsAreReadSlowly(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Limits: Limits{Requests: 10}})
	for name, m := range map[string]message.Message{
		"requests": {ID: message.NumberID(1), Type: message.Read, To: lookups, Body: json.RawMessage(`{"resource":"hyperty://example.com/none"}`)},
		"forgery":  {ID: message.NumberID(1), Type: message.Response, From: "hyperty://example.com/x", To: "hyperty://example.com/y", Body: json.RawMessage(`{"code":200}`)},
	} {
		c := n.join(t, len(name))
		if m.From == "" {
			m.From = c.runtime
		}
		began := time.Now()
		for range 150 {
			c.send(m)
		}
		c.send(message.Message{ID: message.NumberID(7), Type: message.Read, From: c.runtime, To: "domain://msg-node.elsewhere.org/sm"})
		for c.message().From != "domain://msg-node.elsewhere.org/sm" {
		}
		if took := time.Since(began); took < 800*time.Millisecond {
			t.Errorf("%s: 150 took %v", name, took)
		}
	}
}

// The same holds for texts that are not messages.
func TestFloodsOfTextsAreReadSlowly(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Legacy: true, Limits: Limits{Requests: 10}})
	j := n.plain(t, "hyperty-runtime://example.com/plain")
	began := time.Now()
	for range 150 {
		j.send("[]")
	}
	for range 150 {
		if m := j.message(); m.Body.Code != 400 {
			t.Fatalf("%+v", m)
		}
	}
	if took := time.Since(began); took < 800*time.Millisecond {
		t.Errorf("150 took %v", took)
	}
}

// A short read of very much is paid for before it is computed: a connection that repeats it is refused, at
// almost no cost.
func TestExpensiveReads(t *testing.T) {
	n := start(t, Options{})
	alice := n.join(t, 1)
	big := strings.Repeat("x", 60<<10)
	for i := range 60 {
		u := alice.allocate(`{"value":{"number":1}}`)[0]
		alice.must(message.Create, lookups, entryOf(alice.runtime, u, fmt.Sprintf(`,"user":"user://example.com/u%d","more":%q`, i, big)))
	}
	c, other := n.connOf(t, alice), n.join(t, 2)
	m := message.Message{ID: message.NumberID(1), Type: message.Read, From: alice.runtime, To: lookups, Body: json.RawMessage(`{"criteria":{"scheme":"hyperty"}}`)}
	answered := 0
	for range 30 {
		before := spentBytes()
		_, r := n.parts.registry.Answer(c, m)
		switch spent := spentBytes() - before; {
		case r == nil:
			if answered++; spent > 16<<20 {
				t.Errorf("it took %d bytes to answer", spent)
			}
		case r.Code != 429 || spent > 256<<10:
			t.Errorf("%d: it took %d bytes to refuse", r.Code, spent)
		}
	}
	if answered == 0 || answered > 15 {
		t.Errorf("%d of 30 were answered at once", answered)
	}
	if code, _ := other.ask(message.Read, lookups, `{"resource":"user://example.com/u1"}`); code != 200 {
		t.Errorf("a narrow one: %d", code)
	}
}

func spentBytes() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.TotalAlloc
}

// connOf is the node's side of a client.
func (r *running) connOf(t *testing.T, c *client) *routing.Client {
	t.Helper()
	found := r.router.Roster.Of(c.runtime)
	if found == nil {
		t.Fatal("not attached")
	}
	return found
}

// What one runtime, one address and all together keep is bounded in bytes; existing entries can always be kept alive.
func TestStateIsBounded(t *testing.T) {
	big := strings.Repeat("x", 30<<10)
	for name, c := range map[string]struct {
		limits Limits
		code   int
		other  int // the code of the answer to a runtime at another address then
	}{
		"runtime": {Limits{RuntimeState: 100 << 10}, 429, 200},
		"address": {Limits{AddressState: 100 << 10}, 429, 200},
		"all":     {Limits{State: 100 << 10}, 500, 500},
		"rows":    {Limits{Rows: 6}, 500, 500},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, Options{Exempt: everyAddress, Limits: c.limits})
			mallory, honest := n.join(t, 1), n.joinAt(t, "127.0.0.2", 2)
			first := mallory.allocate(`{"value":{"number":1}}`)[0]
			mine := honest.allocate(`{"value":{"number":1}}`)[0]
			mallory.must(message.Create, lookups, entryOf(mallory.runtime, first, ""))
			code, text := 200, ""
			for range 20 {
				var u []message.URL
				code, text = mallory.ask(message.Create, allocator, `{"value":{"number":1}}`)
				var v struct{ Allocated []message.URL }
				if code == 200 && json.Unmarshal([]byte(text), &v) == nil {
					u = v.Allocated
					code, text = mallory.ask(message.Create, lookups, entryOf(mallory.runtime, u[0], fmt.Sprintf(`,"more":%q`, big)))
				}
				if code != 200 {
					break
				}
			}
			if code != c.code {
				t.Errorf("the attack ended with %d %s, want %d", code, text, c.code)
			}
			if code, text := mallory.ask(message.Update, lookups, fmt.Sprintf(`{"resource":%q}`, first)); code != 200 {
				t.Errorf("a keep-alive: %d %s", code, text)
			}
			if code, text := honest.ask(message.Create, lookups, entryOf(honest.runtime, mine, fmt.Sprintf(`,"more":%q`, big))); code != c.other {
				t.Errorf("another address: %d %s", code, text)
			}
		})
	}
}

// A state that is larger than it may be, since its bounds were lowered, accepts writes that do not make it larger.
func TestStateOverItsBoundIsKeptAlive(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, Options{Data: data})
	alice := n.join(t, 1)
	u := alice.allocate(`{"value":{"number":1}}`)[0]
	alice.must(message.Create, lookups, entryOf(alice.runtime, u, ""))
	n.stop()
	n = start(t, Options{Data: data, Limits: Limits{RuntimeState: 10, State: 10, Rows: 1}})
	alice = n.join(t, 1)
	alice.must(message.Update, lookups, fmt.Sprintf(`{"resource":%q}`, u))
	alice.must(message.Delete, lookups, fmt.Sprintf(`{"resource":%q}`, u))
	alice.must(message.Delete, allocator, fmt.Sprintf(`{"childrenResources":[%q]}`, u))
	if code, text := alice.ask(message.Create, allocator, `{"value":{"number":1}}`); code != 429 {
		t.Errorf("a new address: %d %s", code, text)
	}
}

// The bytes that wait for all connections together are bounded: connections that do not read, and for which the most waits, are
// closed.
func TestMemoryIsBounded(t *testing.T) {
	n := start(t, Options{Limits: Limits{Queue: 8 << 20, Memory: 16 << 20}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	sender := n.join(t, 3)
	var slow []*client
	for i := range 8 {
		c := n.join(t, 10+i)
		acquaint(sender, c)    // else little is carried to it
		slow = append(slow, c) // and reads nothing from here on
	}
	payload := make([]byte, 8<<10) // small enough not to count while it is read
	for range 14 {
		for i := range 128 {
			for _, c := range slow {
				if i%32 == 0 { // it answers, unless it is gone, and reads nothing
					_ = c.ws.Write(t.Context(), websocket.MessageBinary, wire.AppendData(nil, sender.runtime, []byte("x")))
				}
				sender.write(wire.AppendData(nil, c.runtime, payload))
			}
		}
		alice.write(wire.AppendData(nil, bob.runtime, []byte("hello")))
		if kind, _ := bob.frame(); kind != wire.KindData {
			t.Fatalf("honest traffic: frame %d", kind)
		}
		if used := n.conns.Memory.Kept(); used > 18<<20 {
			t.Fatalf("%d bytes are kept", used)
		}
	}
	eventually(t, "some of those that do not read are gone", func() bool {
		return n.router.Roster.Len() < 11
	})
	for _, c := range slow {
		c.ws.CloseNow()
	}
	sender.ws.CloseNow()
	alice.ws.CloseNow()
	bob.ws.CloseNow()
	eventually(t, "nothing is kept for nobody", func() bool { return n.conns.Len() == 0 && n.conns.Memory.Kept() == 0 })
}

// A runtime that comes and goes with a new key each time leaves nothing behind.
func TestNothingIsKeptOfStrangers(t *testing.T) {
	n := start(t, Options{})
	for i := range 50 {
		c := n.join(t, i)
		c.ws.CloseNow()
	}
	eventually(t, "they are gone", func() bool { return n.conns.Len() == 0 })
	if kept := n.router.Roster.Kept(); kept != 0 {
		t.Errorf("%d are remembered, %d are there", kept, n.router.Roster.Len())
	}
}

// The reference's dialects, which prove nothing, have a limited share of the connections.
func TestLegacyConnectionsAreBounded(t *testing.T) {
	n := start(t, Options{Legacy: true, Limits: Limits{Legacy: 2}})
	for i := range 2 {
		n.plain(t, fmt.Sprintf("runtime://example.com/r%d", i))
	}
	r, err := http.Get("http://" + n.Addr().String() + web.PathPlain + "?runtimeURL=runtime://example.com/r3")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer r.Body.Close()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("the third: %s", r.Status)
	}
	n.join(t, 1)
}

// The memory for large packets whose rest never comes is bounded.
func TestUnfinishedPacketsAreBounded(t *testing.T) {
	n := start(t, Options{Limits: Limits{Queue: 2 << 20, Memory: 4 << 20}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	var clients []*client
	for i := range 8 {
		clients = append(clients, n.join(t, 10+i))
	}
	for _, c := range clients {
		w, err := c.ws.Writer(t.Context(), websocket.MessageBinary)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(make([]byte, 1<<20)) // fails where the node has closed it already
	}
	eventually(t, "some of them are gone", func() bool {
		return n.router.Roster.Len() < 10
	})
	if used := n.conns.Memory.Kept(); used > 6<<20 {
		t.Errorf("%d bytes are kept", used)
	}
	alice.write(wire.AppendData(nil, bob.runtime, make([]byte, 100<<10)))
	if kind, _ := bob.frame(); kind != wire.KindData {
		t.Errorf("honest traffic: frame %d", kind)
	}
}

// A nearly full state removes disconnected entries, first those of the runtime with the most; live ones stay.
func TestStrangersEntriesMakeRoom(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{State: 400 << 10, AddressState: 350 << 10}, Times: Times{Sweep: 20 * time.Millisecond}})
	honest, mallory := n.joinAt(t, "127.0.0.2", 1), n.join(t, 2)
	mine := honest.allocate(`{"value":{"number":1}}`)[0]
	gone := strings.Replace(entryOf(honest.runtime, mine, ""), `"live"`, `"disconnected"`, 1)
	honest.must(message.Create, lookups, gone)
	first := mallory.allocate(`{"value":{"number":1}}`)[0]
	mallory.must(message.Create, lookups, entryOf(mallory.runtime, first, ""))
	big := strings.Repeat("x", 30<<10)
	for range 30 { // of which the state would hold 12
		u := mallory.allocate(`{"value":{"number":1}}`)[0]
		body := strings.Replace(entryOf(mallory.runtime, u, fmt.Sprintf(`,"more":%q`, big)), `"live"`, `"disconnected"`, 1)
		eventually(t, "there is room", func() bool {
			code, _ := mallory.ask(message.Create, lookups, body)
			return code == 200
		})
	}
	if code, _ := honest.ask(message.Read, lookups, fmt.Sprintf(`{"resource":%q}`, mine)); code != 408 {
		t.Errorf("the honest runtime's entry: %d", code)
	}
	if code, _ := honest.ask(message.Read, lookups, fmt.Sprintf(`{"resource":%q}`, first)); code != 200 {
		t.Errorf("a live entry: %d", code)
	}
}
