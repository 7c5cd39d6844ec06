package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// A node that is killed with -9 again and again, while runtimes register, subscribe and relay, starts each time in less than
// startTime, and what it has confirmed is as it was.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	killAgainAndAgain(t, 4)
}

func TestLongKilledAgainAndAgain(t *testing.T) {
	longtest.Skip(t)
	killAgainAndAgain(t, 200)
}

// startTime is what a node's start may take.
const startTime = 10 * time.Second

func killAgainAndAgain(t *testing.T, rounds int) {
	data := t.TempDir()
	w := &world{t: t, registered: map[string]bool{}, subscribed: map[string]bool{}}
	var slowest time.Duration
	for round := range rounds {
		began := time.Now()
		cmd, url := runNode(t, "--data", data)
		slowest = max(slowest, time.Since(began))
		if took := time.Since(began); took > startTime {
			t.Errorf("start %d took %v", round, took)
		}
		w.check(url, round)
		w.churn(url, cmd, round)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if w.confirmed == 0 || w.relayed == 0 {
		t.Errorf("%d changes, %d messages", w.confirmed, w.relayed)
	}
	t.Logf("%d kills, %d changes confirmed, %d messages relayed, slowest start %v", rounds, w.confirmed, w.relayed, slowest)
}

// world is what the node has confirmed: what is in neither state is not in a map.
type world struct {
	t          *testing.T
	mu         sync.Mutex
	registered map[string]bool // names of the owner, by whether the Domain Registry has them
	subscribed map[string]bool // its names whose changes the observer follows, or does not
	confirmed  int             // changes of the two
	relayed    int
}

const (
	owner, observer = 21, 22 // who they are
	names           = 12     // that the owner has
)

func name(i int) string       { return fmt.Sprint("name-", i) }
func address(n string) string { return "hyperty://example.com/" + n }

// check compares what the node says with what it has confirmed.
func (w *world) check(url string, round int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	from, to := joins(ctx, w.t, url, owner), joins(ctx, w.t, url, observer)
	defer from.ws.CloseNow()
	defer to.ws.CloseNow()
	for i := range names {
		if round == 0 {
			if code, err := from.ask(ctx, message.Create, message.AllocationAddress("example.com"), fmt.Sprintf(`{"value":{"identifier":%q}}`, name(i))); err != nil || code != 200 {
				w.t.Fatal("allocate", code, err)
			}
		}
		want, known := w.registered[name(i)]
		code, err := from.ask(ctx, message.Read, message.DomainRegistryAddress("example.com"), fmt.Sprintf(`{"resource":%q}`, address(name(i))))
		if err != nil || known && want != (code == 200) {
			w.t.Errorf("round %d: %s is registered: %v; the node says %d, %v", round, name(i), want, code, err)
		}
	}
	for i := range names {
		from.send(ctx, w.t, message.Message{ID: message.NumberID(1), Type: message.Update, From: message.URL(address(name(i))), To: message.URL(address(name(i)) + "/changes")})
	}
	from.send(ctx, w.t, message.Message{ID: message.NumberID(1), Type: message.Create, From: from.runtime, To: to.runtime})
	came := map[message.URL]bool{}
	for {
		m, err := to.message(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if m.From == from.runtime {
			break
		}
		came[m.From] = true
	}
	for n, want := range w.subscribed {
		if got := came[message.URL(address(n))]; got != want {
			w.t.Errorf("round %d: the changes of %s are subscribed: %v; they came: %v", round, n, want, got)
		}
	}
}

// churn changes the node's state until it is killed.
func (w *world) churn(url string, cmd *exec.Cmd, round int) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	from, to, relay := joins(ctx, w.t, url, owner), joins(ctx, w.t, url, observer), joins(ctx, w.t, url, owner+observer)
	var wg sync.WaitGroup
	wg.Go(func() {
		w.toggle(w.registered, func(n string, on bool) (int, error) {
			if !on {
				return from.ask(ctx, message.Delete, message.DomainRegistryAddress("example.com"), fmt.Sprintf(`{"resource":%q}`, address(n)))
			}
			return from.ask(ctx, message.Create, message.DomainRegistryAddress("example.com"), fmt.Sprintf(`{"value":{"url":%q,"descriptor":"d","expires":3600,
				"status":"live","resources":[],"dataSchemes":[],"runtime":%q}}`, address(n), from.runtime))
		})
	})
	wg.Go(func() {
		w.toggle(w.subscribed, func(n string, on bool) (int, error) {
			kind, field := message.Subscribe, "subscribe"
			if !on {
				kind, field = message.Unsubscribe, "unsubscribe"
			}
			return to.ask(ctx, kind, message.SubscriptionAddress("example.com"), fmt.Sprintf(`{%q:["%s/changes"]}`, field, address(n)))
		})
	})
	wg.Go(func() {
		for { // to itself, over the node
			if relay.ws.Write(ctx, websocket.MessageBinary, wire.AppendData(nil, relay.runtime, bytes.Repeat([]byte("x"), 2000))) != nil {
				return
			}
			if _, _, err := relay.next(ctx); err != nil {
				return
			}
			w.mu.Lock()
			w.relayed++
			w.mu.Unlock()
		}
	})
	kill := time.NewTimer(50*time.Millisecond + rand.N(400*time.Millisecond))
	<-kill.C
	if err := cmd.Process.Kill(); err != nil {
		w.t.Error(err)
	}
	_ = cmd.Wait()
	wg.Wait()
	for _, m := range []*member{from, to, relay} {
		m.ws.CloseNow()
	}
}

// toggle changes one name after the other, until the node does not answer any more.
func (w *world) toggle(state map[string]bool, change func(name string, on bool) (code int, err error)) {
	for {
		n := name(rand.N(names))
		w.mu.Lock()
		on := !state[n]
		delete(state, n)
		w.mu.Unlock()
		code, err := change(n, on)
		if err != nil {
			return
		}
		if code != 200 && (on || code != 404) { // what is in neither state may be gone already
			w.t.Errorf("%s, %v: %d", n, on, code)
			return
		}
		w.mu.Lock()
		state[n] = on
		w.confirmed++
		w.mu.Unlock()
	}
}

// member is a runtime that is connected to a node, which may be killed.
type member struct {
	ws      *websocket.Conn
	runtime message.URL
	rest    []byte
	last    uint64
}

// joins connects the n-th runtime.
func joins(ctx context.Context, t *testing.T, url string, n byte) *member {
	t.Helper()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	m := &member{ws: ws, runtime: message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(public))}
	var c wire.Challenge
	if _, body, err := m.next(ctx); err != nil || wire.ParseHandshake(body, &c) != nil {
		t.Fatal("no challenge", err)
	}
	answer := wire.Proof{Runtime: m.runtime, Key: public, Signature: ed25519.Sign(key, proof.MessageNode("example.com", m.runtime, c.Challenge))}
	if err := ws.Write(ctx, websocket.MessageBinary, wire.AppendHandshake(nil, wire.KindProof, answer)); err != nil {
		t.Fatal(err)
	}
	if kind, body, err := m.next(ctx); err != nil || kind != wire.KindWelcome {
		t.Fatalf("%d %s %v", kind, body, err)
	}
	return m
}

// next reads a frame of a known kind.
func (m *member) next(ctx context.Context) (kind wire.Kind, body []byte, err error) {
	for {
		for len(m.rest) > 0 {
			if kind, body, m.rest, err = wire.Next(m.rest); err != nil || kind <= wire.KindUnreachable {
				return kind, body, err
			}
		}
		if _, m.rest, err = m.ws.Read(ctx); err != nil {
			return 0, nil, err
		}
	}
}

// message reads the next message.
func (m *member) message(ctx context.Context) (message.Message, error) {
	for {
		kind, body, err := m.next(ctx)
		if err != nil {
			return message.Message{}, err
		}
		if kind == wire.KindMessage {
			return wire.ParseMessage(body)
		}
	}
}

func (m *member) send(ctx context.Context, t *testing.T, msg message.Message) {
	t.Helper()
	if err := m.ws.Write(ctx, websocket.MessageBinary, wire.AppendMessage(nil, &msg)); err != nil {
		t.Fatal(err)
	}
}

// ask is the code that a request is answered with.
func (m *member) ask(ctx context.Context, kind message.Type, to message.URL, body string) (int, error) {
	m.last++
	request := message.Message{ID: message.NumberID(m.last), Type: kind, From: m.runtime.Join("registry"), To: to, Body: json.RawMessage(body)}
	if err := m.ws.Write(ctx, websocket.MessageBinary, wire.AppendMessage(nil, &request)); err != nil {
		return 0, err
	}
	for {
		answer, err := m.message(ctx)
		if err != nil {
			return 0, err
		}
		if answer.Type == message.Response && answer.ID == request.ID {
			result, err := answer.Result()
			return result.Code, err
		}
	}
}
