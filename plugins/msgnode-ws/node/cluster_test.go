package node

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// cluster is an external NATS server with JetStream; port 0: any.
func cluster(t testing.TB, folder string, port int) *server.Server {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: folder, NoSigs: true,
		NoLog: true, MaxPayload: backbone.MaxNATSPayload, DisableJetStreamBanner: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// Nodes of one domain at one cluster are one Message Node: state, routes, presence and expiry.
func TestNodesAtOneCluster(t *testing.T) {
	t.Parallel()
	nats := cluster(t, t.TempDir(), 0)
	times := Times{Sweep: 50 * time.Millisecond, Grace: 300 * time.Millisecond}
	one, two := start(t, Options{NATSKey: testSecret, NATS: nats.ClientURL(), Times: times}), start(t, Options{NATSKey: testSecret, NATS: nats.ClientURL(), Times: times})
	alice, bob := one.join(t, 1), two.join(t, 2)

	// A wished identifier is granted once, at whatever node it is wished for.
	u := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	if code, text := alice.ask(message.Create, allocator, `{"value":{"identifier":"bob"}}`); code != 409 {
		t.Errorf("bob's name, for alice: %d %s", code, text)
	}
	// What is registered at one node is found at the other, and a change of status is published at both.
	alice.must(message.Subscribe, manager, fmt.Sprintf(`{"subscribe":["%s/registration","%s/changes"]}`, u, u))
	bob.must(message.Create, lookups, entryOf(bob.runtime, u, ""))
	if m := alice.message(); m.To != u.Join("registration") || !strings.Contains(string(m.Body), state.Live) {
		t.Errorf("notice of the first registration: %+v", m)
	}
	eventually(t, "the entry is found at the other node", func() bool {
		code, _ := alice.ask(message.Read, lookups, fmt.Sprintf(`{"resource":"%s"}`, u))
		return code == 200
	})
	bob.must(message.Update, lookups, fmt.Sprintf(`{"resource":"%s","value":{"status":"disconnected"}}`, u))
	if m := alice.message(); m.To != u.Join("registration") || !strings.Contains(string(m.Body), state.Disconnected) {
		t.Errorf("notice %+v", m)
	}
	bob.must(message.Update, lookups, fmt.Sprintf(`{"resource":"%s"}`, u))
	alice.message() // live again

	// Messages, publications and Data cross, in order; a message without a receiver is answered.
	for i := range 20 {
		alice.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Create, From: alice.runtime, To: u})
		bob.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Update, From: u, To: u.Join("changes")})
	}
	for i := range 20 {
		if m := bob.message(); m.From != alice.runtime || m.ID != message.NumberID(uint64(i+1)) {
			t.Fatalf("message %d is %+v", i+1, m)
		}
		if m := alice.message(); m.From != u || m.ID != message.NumberID(uint64(i+1)) {
			t.Fatalf("publication %d is %+v", i+1, m)
		}
	}
	alice.write(wire.AppendData(nil, bob.runtime, []byte("one"), []byte("two")))
	kind, body := bob.frame()
	if peer, payloads, err := wire.ParseData(body); kind != wire.KindData || err != nil || message.URL(peer) != alice.runtime || len(payloads) != 8 {
		t.Errorf("data: %d %q %v", kind, body, err)
	}
	nobody, _ := identity(9)
	alice.write(wire.AppendData(nil, nobody, []byte("one")))
	if kind, body := alice.frame(); kind != wire.KindUnreachable || string(body) != string(nobody) {
		t.Errorf("data for nobody: %d %q", kind, body)
	}
	if code, _ := alice.ask(message.Create, "hyperty://example.com/nobody", `{}`); code != 404 {
		t.Errorf("a message to nobody: %d", code)
	}

	// A runtime that comes back at the other node keeps what it has, and its old connection ends.
	again := two.join(t, 1)
	if code, reason := alice.closed(); code != conn.CodeReplaced {
		t.Errorf("the older connection: %d %s", code, reason)
	}
	time.Sleep(2 * times.Grace) // the first node must not end what is connected to the other one
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Update, From: u, To: u.Join("changes")})
	if m := again.message(); m.From != u {
		t.Errorf("after the change of node: %+v", m)
	}
	// A runtime that goes is gone at both nodes, and its going is published once.
	bob.ws.CloseNow()
	if m := again.message(); m.To != u.Join("registration") || !strings.Contains(string(m.Body), state.Disconnected) {
		t.Errorf("notice %+v", m)
	}
	again.sync()
}

// Without the cluster the node says so, and it goes on when the cluster is back.
func TestClusterGoesAndComes(t *testing.T) {
	folder := t.TempDir()
	nats := cluster(t, folder, 0)
	n := start(t, Options{NATSKey: testSecret, NATS: nats.ClientURL(), Times: Times{State: 3 * time.Second}})
	alice := n.join(t, 1)
	u := alice.allocate(`{"value":{"identifier":"alice"}}`)[0]
	port := nats.Addr().String()[strings.LastIndex(nats.Addr().String(), ":")+1:]
	nats.Shutdown()
	nats.WaitForShutdown()
	eventually(t, "the node notices", func() bool { return !n.nats.Connected() })
	if code, text := alice.ask(message.Create, allocator, `{}`); code != 504 && code != 500 {
		t.Errorf("an allocation without a cluster: %d %s", code, text)
	}
	if code, text := alice.ask(message.Create, u.Join("x"), `{}`); code != 504 {
		t.Errorf("a message without a cluster: %d %s", code, text)
	}
	number := 0
	if err := json.Unmarshal([]byte(port), &number); err != nil {
		t.Fatal(err)
	}
	cluster(t, folder, number)
	eventually(t, "the node is back", func() bool {
		code, _ := alice.ask(message.Create, allocator, `{}`)
		return code == 200
	})
	alice.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: alice.runtime, To: u})
	if m := alice.message(); m.To != u {
		t.Errorf("%+v", m)
	}
}

// Data between runtimes at two nodes: what a stranger sends is bounded, and an answer that came from the other node lets the
// sender go on.
func TestAnswersFromAnotherNode(t *testing.T) {
	o := Options{NATSKey: testSecret, NATS: cluster(t, t.TempDir(), 0).ClientURL()}
	one, two := start(t, o), start(t, o)
	alice, carol, bob := one.join(t, 1), one.join(t, 3), two.join(t, 2)
	const many = 4 * peers.AnswerFrames
	for range many {
		carol.write(wire.AppendData(nil, bob.runtime, []byte("carol")))
	}
	carol.write(wire.AppendData(nil, alice.runtime, []byte("over"))) // behind all of it
	alice.data()
	alice.write(wire.AppendData(nil, bob.runtime, []byte("end")))
	strange := 0
	for from := message.URL(""); from != alice.runtime; {
		var list []string
		if from, list = bob.data(); from == carol.runtime {
			strange += len(list)
		}
	}
	if strange < peers.StrangeFrames || strange > 2*peers.StrangeFrames {
		t.Errorf("%d frames of a stranger came", strange)
	}
	for round := range 2 {
		bob.write(wire.AppendData(nil, alice.runtime, []byte("go on"), []byte("go on"), []byte("go on"), []byte("go on")))
		if from, list := alice.data(); from != bob.runtime || len(list) != many/peers.AnswerFrames {
			t.Fatalf("%d from %s", len(list), from)
		}
		for i := range many {
			alice.write(wire.AppendData(nil, bob.runtime, []byte(fmt.Sprint(i))))
		}
		for i := 0; i < many; {
			_, list := bob.data()
			for _, p := range list {
				if p != fmt.Sprint(i) {
					t.Fatalf("round %d: %q, want %d", round, p, i)
				}
				i++
			}
		}
	}
}

// servers are three NATS servers that are one cluster, on the ports that they had before where there are some.
type servers struct {
	t       *testing.T
	folders [3]string
	ports   [3]int // for clients
	routes  [3]int
	run     [3]*server.Server
}

func newServers(t *testing.T) *servers {
	c := &servers{t: t}
	for i := range c.run {
		c.folders[i], c.ports[i], c.routes[i] = t.TempDir(), freePort(t), freePort(t)
	}
	for i := range c.run {
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.run {
			c.stop(i)
		}
	})
	return c
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (c *servers) start(i int) {
	c.t.Helper()
	o := &server.Options{ServerName: fmt.Sprint("s", i), Host: "127.0.0.1", Port: c.ports[i], JetStream: true, StoreDir: c.folders[i], NoSigs: true,
		NoLog: true, MaxPayload: backbone.MaxNATSPayload, DisableJetStreamBanner: true,
		Cluster: server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: c.routes[i]}}
	for _, port := range c.routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
	}
	s, err := server.NewServer(o)
	if err != nil {
		c.t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(patience) {
		c.t.Fatal("NATS does not start")
	}
	c.run[i] = s
}

func (c *servers) stop(i int) {
	if c.run[i] != nil {
		c.run[i].Shutdown()
		c.run[i].WaitForShutdown()
		c.run[i] = nil
	}
}

// url leads to those servers.
func (c *servers) url(list ...int) string {
	var all []string
	for _, i := range list {
		all = append(all, fmt.Sprint("nats://127.0.0.1:", c.ports[i]))
	}
	return strings.Join(all, ",")
}

// A node starts at a cluster of three that has only just been started, and while one of its servers is away or has just come back;
// and what was confirmed is there.
func TestNodesAtThreeServers(t *testing.T) {
	t.Parallel()
	atThreeServers(t, 1)
}

func TestLongNodesAtThreeServers(t *testing.T) {
	longtest.Skip(t)
	atThreeServers(t, 3)
}

func atThreeServers(t *testing.T, restarted int) {
	c := newServers(t)
	o := Options{NATSKey: testSecret, Replicas: 3, NATS: c.url(0, 1, 2)}
	began := time.Now()
	first := start(t, o)
	t.Logf("at a fresh cluster: %v", time.Since(began))
	u := first.join(t, 1).allocate(`{"value":{"identifier":"alice"}}`)[0]
	check := func(what string, number int, at string) {
		t.Helper()
		o.NATS = at
		began := time.Now()
		n := start(t, o)
		defer n.stop()
		t.Logf("%s: %v", what, time.Since(began))
		if code, text := n.join(t, number).ask(message.Create, allocator, `{"value":{"identifier":"alice"}}`); code != 409 {
			t.Errorf("%s: %s is given again: %d %s", what, u, code, text)
		}
	}
	for i := range restarted {
		other := (i + 1) % len(c.run)
		c.stop(i)
		check(fmt.Sprintf("without server %d", i), 10+i, c.url(other))
		c.start(i)
		check(fmt.Sprintf("with server %d, which has just come back", i), 20+i, c.url(i))
	}
}
