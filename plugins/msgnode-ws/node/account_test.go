package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// natsAccount is a NATS server whose one account has three users, each with its name as password: node, with exactly the
// permissions of a node; app, another client, with the permissions of its own subjects; and admin, with all of them.
func natsAccount(t *testing.T) *server.Server {
	t.Helper()
	publish, subscribe := Permissions(domain)
	allow := func(publish, subscribe []string) *server.Permissions {
		return &server.Permissions{Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe}}
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true,
		NoLog: true, MaxPayload: backbone.MaxNATSPayload, DisableJetStreamBanner: true, Users: []*server.User{
			{Username: "node", Password: "node", Permissions: allow(publish, subscribe)},
			{Username: "app", Password: "app", Permissions: allow([]string{"app.>"}, []string{"app.>", "_INBOX.>"})},
			{Username: "admin", Password: "admin"},
		}})
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

// as is the URL of the server for a user.
func as(s *server.Server, user string) string {
	return strings.Replace(s.ClientURL(), "://", "://"+user+":"+user+"@", 1)
}

// refusals connects a user, and gives how often NATS refused it something.
func refusals(t *testing.T, s *server.Server, user string) (nc *nats.Conn, refused func() int) {
	t.Helper()
	var mu sync.Mutex
	count := 0
	nc, err := nats.Connect(as(s, user), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			mu.Lock()
			defer mu.Unlock()
			count++
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// A node does all its work with the permissions that Permissions names.
func TestLeastPermissions(t *testing.T) {
	t.Parallel()
	s := natsAccount(t)
	times := Times{Sweep: 50 * time.Millisecond, Grace: 200 * time.Millisecond}
	var logs strings.Builder
	key := filepath.Join(t.TempDir(), "key.pem")
	if _, err := (admission.KeyFile{Name: key, Make: true}).Private(); err != nil {
		t.Fatal(err)
	}
	o := Options{NATS: as(s, "node"), NATSKey: testSecret, Times: times, Legacy: true, Admit: Admit{Visitors: Invited, Key: key}, Log: logTo(t, &logs)}
	one, two := start(t, o), start(t, o)
	alice, bob, carol := one.join(t, 1), two.join(t, 2), two.plain(t, rBob)
	u := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	block := bob.allocate(`{"scheme":"comm","value":{"number":3}}`)
	alice.must(message.Subscribe, manager, fmt.Sprintf(`{"resources":["%s/registration"]}`, u))
	bob.must(message.Create, lookups, entryOf(bob.runtime, u, ""))
	if m := alice.message(); m.To != u.Join("registration") || !strings.Contains(string(m.Body), state.Live) {
		t.Errorf("notice of the first registration: %+v", m)
	}
	eventually(t, "the entry is found", func() bool {
		code, _ := alice.ask(message.Read, lookups, fmt.Sprintf(`{"resource":"%s"}`, u))
		return code == 200
	})
	bob.must(message.Delete, allocator, free(block[0]))
	alice.write(wire.AppendData(nil, bob.runtime, []byte("data")))
	if kind, _ := bob.frame(); kind != wire.KindData {
		t.Errorf("frame %d", kind)
	}
	if code, _ := alice.ask(message.Create, "hyperty://example.com/nobody", `{}`); code != 404 {
		t.Errorf("a message to nobody: %d", code)
	}
	carol.ask(404, `{"id":1,"type":"create","from":"runtime://example.com/r-bob/sm","to":"runtime://example.com/nobody/sm"}`)
	one.join(t, 2) // replaces the connection at the other node
	if code, _ := bob.closed(); code != conn.CodeReplaced {
		t.Errorf("closed with %d", code)
	}
	alice.ws.CloseNow()
	eventually(t, "a subscription expires", func() bool { return one.state.Subscriptions.Count("r:"+string(alice.runtime)) == 0 })
	one.stop()
	two.stop()
	if text := logs.String(); strings.Contains(strings.ToLower(text), "permission") {
		t.Error(text)
	}
}

// Without a permission the start fails with an error that says which is missing.
func TestPermissionThatIsMissing(t *testing.T) {
	t.Parallel()
	s := natsAccount(t)
	_, err := New(t.Context(), Options{Domain: domain, NATS: as(s, "app"), NATSKey: testSecret, Times: Times{State: 200 * time.Millisecond}})
	if err == nil || !strings.Contains(err.Error(), "Permissions Violation") || !strings.Contains(err.Error(), "NATS.md") {
		t.Error(err)
	}
}

// Another client of the account, without these permissions, can neither read nor change the tables, nor receive or send what
// nodes send each other, nor make JetStream do any of this.
func TestOthersOfTheAccount(t *testing.T) {
	s := natsAccount(t)
	n := start(t, Options{NATS: as(s, "node"), NATSKey: testSecret})
	bob := n.join(t, 2)
	bob.allocate(`{"value":{"identifier":"bob"}}`)
	eve, refused := refusals(t, s, "app")
	js, err := jetstream.New(eve)
	if err != nil {
		t.Fatal(err)
	}
	bucket := backbone.BucketPrefix(domain) + "addresses"
	stream, key := "KV_"+bucket, state.AddressKey("hyperty://example.com/bob")
	for what, try := range map[string]func(context.Context) error{
		"open the bucket": func(ctx context.Context) error { _, err := js.KeyValue(ctx, bucket); return err },
		"delete it":       func(ctx context.Context) error { return js.DeleteKeyValue(ctx, bucket) },
		"delete":          func(ctx context.Context) error { return js.DeleteStream(ctx, stream) },
		"follow": func(ctx context.Context) error {
			_, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{})
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := try(ctx); err == nil {
			t.Errorf("%s: possible", what)
		}
		cancel()
	}
	for _, subject := range []string{"$KV." + bucket + "." + key, "$JS.API.STREAM.PURGE." + stream, "$JS.API.STREAM.MSG.GET." + stream,
		"$JS.API.STREAM.MSG.DELETE." + stream, "$JS.API.DIRECT.GET." + stream + ".$KV." + bucket + "." + key,
		backbone.NewSubjects(domain).Presence(bob.runtime), backbone.NewSubjects(domain).Frames(bob.runtime), backbone.NewSubjects(domain).Address(bob.runtime), backbone.NewSubjects(domain).Unanswered(n.number) + ".1.m1"} {
		before := refused()
		if err := eve.PublishRequest(subject, "app.answer", []byte(`{"last_by_subj":">"}`)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "refused: "+subject, func() bool { return refused() > before })
	}
	for _, subject := range []string{backbone.NewSubjects(domain).All(), ">", "$KV.>", backbone.NewSubjects(domain).Inboxes() + ".>"} {
		before := refused()
		if _, err := eve.Subscribe(subject, func(*nats.Msg) { t.Error("heard something at " + subject) }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "refused: "+subject, func() bool { return refused() > before })
	}
	if n.state.Owner("hyperty://example.com/bob") != bob.runtime {
		t.Error("bob's address is gone")
	}
	bob.sync()
}

// A client that may send and receive everything, but does not have the domain's secret, ends no connection, and forges and
// repeats no message: what it sends on the nodes' subjects is dropped.
func TestForgedAtNATS(t *testing.T) {
	s := natsAccount(t)
	o := Options{NATS: as(s, "node"), NATSKey: testSecret, Legacy: true}
	one, two := start(t, o), start(t, o)
	alice, bob, carol := one.join(t, 1), two.join(t, 2), two.plain(t, rBob)
	mallory, _ := refusals(t, s, "admin")
	heard := make(chan *nats.Msg, 100)
	if _, err := mallory.ChanSubscribe(backbone.NewSubjects(domain).All(), heard); err != nil {
		t.Fatal(err)
	}
	if err := mallory.Flush(); err != nil {
		t.Fatal(err)
	}
	honest := message.Message{ID: message.NumberID(1), Type: message.Create, From: alice.runtime.Join("sm"), To: bob.runtime.Join("sm")}
	alice.send(honest)
	bob.message()
	forged := message.Message{ID: message.NumberID(66), Type: message.Create, From: alice.runtime.Join("sm"), To: bob.runtime.Join("sm")}
	stranger, err := backbone.NewSeal([]byte(strings.Repeat("m", backbone.MinSecret)), domain)
	if err != nil {
		t.Fatal(err)
	}
	send := func(subject string, data []byte) {
		t.Helper()
		for _, form := range [][]byte{data, stranger.Sign(subject, data)} {
			if err := mallory.Publish(subject, form); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(backbone.NewSubjects(domain).Presence(bob.runtime), []byte("99999999999999999999.x.1"))
	send(backbone.NewSubjects(domain).Address(bob.runtime), wire.AppendMessage(nil, &forged))
	send(backbone.NewSubjects(domain).Address(bob.runtime), wire.Append(nil, routing.KindGranted, []byte(alice.runtime)))
	send(backbone.NewSubjects(domain).Frames(bob.runtime), wire.AppendData(nil, alice.runtime, []byte("forged")))
	send(backbone.NewSubjects(domain).Address("hyperty-runtime://example.com/r-bob"), wire.AppendMessage(nil, &forged))
	for number := range 5 { // "nobody is there", for whatever bob asked
		send(backbone.NewSubjects(domain).Unanswered(two.number)+fmt.Sprintf(".%d.m%d", 1, number), nil)
	}
	// What alice's node sent, again and elsewhere.
	var m *nats.Msg
	eventually(t, "alice's message is heard", func() bool {
		select {
		case m = <-heard:
		default:
		}
		return m != nil && m.Subject == backbone.NewSubjects(domain).Address(bob.runtime)
	})
	if err := errors.Join(mallory.Publish(m.Subject, m.Data), mallory.Publish(backbone.NewSubjects(domain).Address("hyperty-runtime://example.com/r-bob"), m.Data),
		mallory.Flush()); err != nil {
		t.Fatal(err)
	}
	const dropped = 2*5 + 2
	eventually(t, "all of it is seen and dropped", func() bool { return two.router.Strange() >= dropped })
	honest.ID = message.NumberID(2)
	alice.send(honest)
	if m := bob.message(); m.ID != honest.ID {
		t.Errorf("bob got %+v", m)
	}
	honest.To = rBob + "/sm"
	alice.send(honest)
	if m := carol.message(); string(m.ID) != "2" {
		t.Errorf("carol got %+v", m)
	}
	bob.sync()
}

// An allocation at one node ends others' subscriptions at another one, before the owner gets the answer that it has the
// address.
func TestAllocationEndsOthersSubscriptionsElsewhere(t *testing.T) {
	url := cluster(t, t.TempDir(), 0).ClientURL()
	one, two := start(t, Options{NATS: url, NATSKey: testSecret, Legacy: true}), start(t, Options{NATS: url, NATSKey: testSecret, Legacy: true})
	eve, alice, bob := one.plain(t, rEve), one.join(t, 1), two.join(t, 2)
	for i := range 10 {
		u := message.URL(fmt.Sprintf("hyperty://example.com/bob-%d", i))
		eve.ask(200, subscribeAs(rEve, u, u.Join("subscription")))
		bob.allocate(wish(u))
		overheard(t, alice, bob, eve, u)
		bob.must(message.Subscribe, manager, fmt.Sprintf(`{"resources":["%s/subscription"]}`, u))
		overheard(t, alice, bob, eve, u.Join("subscription"))
	}
}

// A node that another one tells of an allocation ends others' subscriptions, even if its copy of the state, which may be
// behind, does not have the allocation yet.
func TestOthersAreToldOfAllocations(t *testing.T) {
	url := cluster(t, t.TempDir(), 0).ClientURL()
	one, two := start(t, Options{NATS: url, NATSKey: testSecret, Legacy: true}), start(t, Options{NATS: url, NATSKey: testSecret, Legacy: true})
	eve, bob := one.plain(t, rEve), two.join(t, 2)
	const u, other message.URL = "hyperty://example.com/bob", "hyperty://example.com/other"
	eve.ask(200, subscribeAs(rEve, u, u.Join("subscription"), u.Join("changes"), other))
	heard := func(u message.URL) int { return one.router.Receivers(u) }
	two.router.TellOthers(&state.Allocation{Address: u, Runtime: bob.runtime, Wished: true}) // and nothing is in the state
	eventually(t, "eve hears nothing at bob's address any more", func() bool { return heard(u)+heard(u.Join("subscription")) == 0 })
	if heard(u.Join("changes")) != 1 || heard(other) != 1 {
		t.Error("she hears less than she may")
	}
	seal, err := backbone.NewSeal(testSecret, domain)
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan *nats.Msg, 10) // what two tells the others of an allocation of its own
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const bobs message.URL = "hyperty://example.com/bobs"
	for _, u := range routing.OwnersAlone(bobs) {
		if _, err := nc.ChanSubscribe(backbone.NewSubjects(domain).Address(u), said); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	bob.allocate(wish(bobs))
	if err := nc.Flush(); err != nil { // what came before has come
		t.Fatal(err)
	}
	for _, u := range routing.OwnersAlone(bobs) {
		select {
		case m := <-said:
			data, err := seal.Open(m.Subject, m.Data)
			if kind, owner, _, no := wire.Next(data); err != nil || no != nil || m.Subject != backbone.NewSubjects(domain).Address(u) || kind != routing.KindGranted || message.URL(owner) != bob.runtime {
				t.Errorf("at %s: %v, %v, %q; %v", m.Subject, err, kind, owner, no)
			}
		default:
			t.Errorf("bob has %s, and the others were not told of %s", bobs, u)
		}
	}
}

// A runtime that connects to a node whose copy of the state is behind gets its addresses and subscriptions as soon as the copy
// has them.
func TestStateThatComesAfterItsRuntime(t *testing.T) {
	n := start(t, Options{})
	alice, bob := n.join(t, 1), n.join(t, 2)
	const u message.URL = "comm://example.com/room"
	s := &state.Subscription{Runtime: alice.runtime, Address: u.Join("changes")}
	for key, v := range map[string]any{state.AddressKey(u): state.Allocation{Runtime: bob.runtime, Address: u}} {
		if _, err := n.bucket(t, "addresses").Put(t.Context(), key, message.Encode(v)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.bucket(t, "subscriptions").Put(t.Context(), state.SubscriptionKey(alice.runtime, s.Address), message.Encode(s)); err != nil {
		t.Fatal(err)
	}
	for _, to := range []message.URL{u, s.Address} {
		eventually(t, "a route to "+string(to), func() bool { return n.router.Receivers(to) == 1 })
	}
	alice.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: alice.runtime, To: u})
	if m := bob.message(); m.To != u {
		t.Errorf("%+v", m)
	}
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Update, From: u, To: s.Address})
	if m := alice.message(); m.To != s.Address {
		t.Errorf("%+v", m)
	}
}
