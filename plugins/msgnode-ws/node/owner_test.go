package node

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// replicated is an external cluster of three NATS servers with routes between them.
func replicated(t *testing.T) []*server.Server {
	t.Helper()
	routes := make([]*url.URL, 3)
	ports := make([]int, 3)
	for i := range routes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all stay open until all ports are chosen
		ports[i] = l.Addr().(*net.TCPAddr).Port
		routes[i] = &url.URL{Scheme: "nats", Host: l.Addr().String()}
		l.Close()
	}
	servers := make([]*server.Server, 3)
	for i := range servers {
		s, err := server.NewServer(&server.Options{ServerName: fmt.Sprint("server-", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}, Routes: routes,
			JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: backbone.MaxNATSPayload, DisableJetStreamBanner: true})
		if err != nil {
			t.Fatal(err)
		}
		go s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers[i] = s
	}
	for _, s := range servers {
		if !s.ReadyForConnections(patience) {
			t.Fatal("NATS does not start")
		}
	}
	eventually(t, "the cluster has a leader and all its servers", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == len(servers)
			}
		}
		return false
	})
	return servers
}

// Two nodes at a cluster of three servers are asked for the same addresses at once, and for addresses of blocks: each address
// has one owner, and both nodes name the same one.
func TestOneOwnerInACluster(t *testing.T) {
	t.Parallel()
	servers := replicated(t)
	times := Times{State: patience}
	limits := Limits{Writes: 10_000}
	nodes := []*running{start(t, Options{NATSKey: testSecret, NATS: servers[0].ClientURL(), Replicas: 3, Times: times, Limits: limits, Legacy: true}),
		start(t, Options{NATSKey: testSecret, NATS: servers[1].ClientURL(), Replicas: 3, Times: times, Limits: limits, Legacy: true})}
	const runtimes, names = 6, 8
	clients := make([]*client, runtimes)
	for i := range clients {
		clients[i] = nodes[i%2].join(t, 1+i)
	}
	schemes := []string{"hyperty", "comm", "connection", "ctxt"}
	var blocks []message.URL
	for i, scheme := range schemes {
		blocks = append(blocks, clients[i].allocate(fmt.Sprintf(`{"scheme":"%s","value":{"number":3}}`, scheme))...)
	}
	var wanted []message.URL
	for i := range names {
		wanted = append(wanted, message.URL(fmt.Sprintf("%s://example.com/name-%d", schemes[i%len(schemes)], i)))
	}
	wanted = append(wanted, blocks...)

	granted := make([]map[message.URL]bool, runtimes)
	codes := make([]map[int]bool, runtimes)
	var wg sync.WaitGroup
	for i, c := range clients {
		granted[i], codes[i] = map[message.URL]bool{}, map[int]bool{}
		wg.Go(func() {
			for k := range wanted {
				u := wanted[(k+i)%len(wanted)]
				code, text := c.ask(message.Create, allocator, wish(u))
				codes[i][code] = true
				if code == 200 {
					granted[i][u] = true
				} else if code != 409 {
					t.Errorf("%s: %d %s", u, code, text)
				}
			}
		})
	}
	wg.Wait()
	for _, u := range wanted {
		var owners []message.URL
		for i, c := range clients {
			if granted[i][u] {
				owners = append(owners, c.runtime)
			}
		}
		if len(owners) != 1 {
			t.Errorf("%s belongs to %v", u, owners)
			continue
		}
		for _, n := range nodes {
			eventually(t, "both nodes know the owner", func() bool { return n.state.Owner(u) == owners[0] })
		}
	}
	for i, u := range blocks {
		if !granted[i/3][u] {
			t.Errorf("%s of a block is no longer its runtime's", u)
		}
	}

	// An address that is freed at one node can be wished for at the other, once.
	eventually(t, "freed", func() bool { code, _ := clients[0].ask(message.Delete, allocator, free(blocks[0])); return code == 200 })
	again := 0
	for _, c := range clients[1:] {
		if code, _ := c.ask(message.Create, allocator, wish(blocks[0])); code == 200 {
			again++
		}
	}
	if again != 1 {
		t.Errorf("a freed address was given to %d runtimes", again)
	}
	if code, text := clients[0].ask(message.Create, allocator, wish(blocks[0])); code != 409 {
		t.Errorf("its former owner: %d %s", code, text)
	}
}

// wish is the body of a request for exactly this address, free that of its deallocation.
func wish(u message.URL) string {
	return fmt.Sprintf(`{"scheme":"%s","value":{"identifier":"%s"}}`, u.Scheme(), strings.TrimPrefix(u.Path(), "/"))
}

func free(u message.URL) string { return fmt.Sprintf(`{"childrenResources":["%s"]}`, u) }

// Nobody can wish for an address of a block or one that another runtime has wished for, in any dialect.
func TestOneOwnerInEveryDialect(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, Options{Legacy: true, Data: data})
	alice, bob, eve := n.join(t, 1), n.plain(t, rBob), n.session(t)
	eve.ask(200, `{"id":1,"type":"open","from":"runtime://example.com/r-eve","to":"mn:/session"}`)
	request := func(from, body string) string {
		return fmt.Sprintf(`{"id":4,"type":"create","from":"%s/address-allocation","to":"%s","body":%s}`, from, allocator, body)
	}
	allocated := func(m reply) []message.URL {
		var v struct{ Allocated []message.URL }
		if err := json.Unmarshal(m.Body.Value, &v); err != nil {
			t.Fatal(err)
		}
		return v.Allocated
	}
	const rEve = "runtime://example.com/r-eve"
	for _, scheme := range []string{"hyperty", "comm", "connection"} {
		block := fmt.Sprintf(`{"scheme":"%s","value":{"number":2}}`, scheme)
		named := func(name string) string { return wish(message.URL(scheme + "://example.com/" + name)) }
		hers, his, eves := alice.allocate(block), allocated(bob.ask(200, request(rBob, block))), allocated(eve.ask(200, request(rEve, block)))
		hers = append(hers, alice.allocate(named("alice"))...)
		his = append(his, allocated(bob.ask(200, request(rBob, named("bob"))))...)
		eves = append(eves, allocated(eve.ask(200, request(rEve, named("eve"))))...)
		for _, u := range append(his, eves...) {
			if code, text := alice.ask(message.Create, allocator, wish(u)); code != 409 {
				t.Errorf("alice wishes for %s: %d %s", u, code, text)
			}
			if code, text := alice.ask(message.Delete, allocator, free(u)); code != 403 {
				t.Errorf("alice frees %s: %d %s", u, code, text)
			}
		}
		for _, u := range append(hers, eves...) {
			bob.ask(409, request(rBob, wish(u)))
		}
		for _, u := range append(hers, his...) {
			eve.ask(409, request(rEve, wish(u)))
			eve.ask(403, strings.Replace(request(rEve, free(u)), `"create"`, `"delete"`, 1))
		}
		alice.allocate(wish(hers[0])) // she may wish for her own address, which counts once
		alice.must(message.Delete, allocator, free(hers[0]))
		bob.ask(200, request(rBob, wish(hers[0])))
		if code, _ := alice.ask(message.Create, allocator, wish(hers[0])); code != 409 {
			t.Errorf("alice wishes for what she freed and bob took: %d", code)
		}
	}
	n.stop()
	n = start(t, Options{Legacy: true, Data: data})
	alice, eve = n.join(t, 1), n.session(t)
	eve.ask(200, `{"id":1,"type":"open","from":"runtime://example.com/r-eve","to":"mn:/session"}`)
	eve.ask(409, request(rEve, wish("hyperty://example.com/alice")))
	if code, _ := alice.ask(message.Create, allocator, wish("comm://example.com/bob")); code != 409 {
		t.Errorf("after a restart: %d", code)
	}
}

// The rows of an earlier version, a block or a wish each, become rows of an address each; of two owners the block's stays.
func TestAllocationsOfAnEarlierVersion(t *testing.T) {
	data := t.TempDir()
	n := start(t, Options{Data: data})
	alice, _ := identity(1)
	eve, _ := identity(2)
	block := []message.URL{"comm://example.com/11111111-2222-3333-4444-555555555555", "comm://example.com/11111111-2222-3333-4444-555555555556"}
	for key, a := range map[string]state.Allocation{
		"wished.x": {Runtime: eve, Addresses: block[:1], Wished: true},
		"wished.y": {Runtime: eve, Addresses: []message.URL{"hyperty://example.com/eve"}, Wished: true},
		"secret":   {Runtime: alice, Addresses: block, Key: "k", Seen: time.Now()},
	} {
		if _, err := n.bucket(t, "addresses").Put(t.Context(), key, message.Encode(a)); err != nil {
			t.Fatal(err)
		}
	}
	n.stop()
	for _, limits := range []Limits{{State: 1, RuntimeState: 1, Rows: 1}, {}} { // rows that exist already are not refused
		n = start(t, Options{Data: data, Limits: limits})
		if n.state.Owner(block[0]) != alice || n.state.Owner(block[1]) != alice || n.state.Owner("hyperty://example.com/eve") != eve {
			t.Errorf("owners: %s %s %s", n.state.Owner(block[0]), n.state.Owner(block[1]), n.state.Owner("hyperty://example.com/eve"))
		}
		if got := n.state.Allocations.Count("r:" + string(alice)); got != 2 {
			t.Errorf("alice has %d addresses", got)
		}
		n.stop()
	}
	n = start(t, Options{Data: data})
	n.join(t, 1).must(message.Delete, allocator, `{"resource":"k"}`)
	if n.state.Owner(block[0]) != "" || n.state.Owner(block[1]) != "" {
		t.Error("the block's key did not free it")
	}
}

// A runtime that stays away loses its blocks in the end, a connected one keeps them, and wished addresses stay.
func TestAllocationsExpire(t *testing.T) {
	n := start(t, Options{Times: Times{Sweep: 20 * time.Millisecond, Retention: 48 * time.Hour}})
	alice := n.join(t, 1)
	bob, _ := identity(2)
	old := time.Now().UTC().Add(-72 * time.Hour).Truncate(24 * time.Hour)
	for u, a := range map[message.URL]state.Allocation{
		"comm://example.com/a":    {Runtime: alice.runtime, Seen: old},
		"comm://example.com/b":    {Runtime: bob, Seen: old},
		"comm://example.com/name": {Runtime: bob, Seen: old, Wished: true},
		"comm://example.com/new":  {Runtime: bob, Seen: old.Add(48 * time.Hour)},
	} {
		a.Address = u
		if err := n.parts.allocation.Grant(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "bob's block is gone, and it is noted that alice is there", func() bool {
		return n.state.Owner("comm://example.com/b") == "" && n.state.Allocations.Get(state.SeenKey(alice.runtime)) != nil
	})
	for _, u := range []message.URL{"comm://example.com/a", "comm://example.com/name", "comm://example.com/new"} {
		if n.state.Owner(u) == "" {
			t.Errorf("%s is gone", u)
		}
	}
}

func BenchmarkAllocateBlock(b *testing.B) {
	for _, number := range []int{1, 8, 256} {
		b.Run(fmt.Sprint(number), func(b *testing.B) {
			n := start(b, Options{Limits: Limits{Addresses: 1 << 30, Writes: 1 << 20, Requests: 1 << 20, RuntimeState: 1 << 40, State: 1 << 40, Rows: 1 << 30}})
			alice := n.join(b, 1)
			body := fmt.Sprintf(`{"value":{"number":%d}}`, number)
			for b.Loop() {
				alice.allocate(body)
			}
		})
	}
}
