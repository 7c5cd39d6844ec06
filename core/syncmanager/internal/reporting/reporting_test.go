package reporting

import (
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

const (
	room   message.URL = "comm://a.example/room"
	alice  message.URL = "hyperty://a.example/alice"
	bob    message.URL = "hyperty://b.example/bob"
	remote message.URL = "hyperty-runtime://b.example/r"
)

func newObject(t *testing.T, l limits.Limits) (*Object, *limits.Usage) {
	t.Helper()
	usage := limits.New(l)
	o := New(room, alice, nil, protocol.Messages{Self: "hyperty-runtime://a.example/r/sm"}, usage)
	doc, err := object.Parse([]byte(`{"n":0}`))
	if err == nil {
		err = o.Begin(object.Metadata{URL: room, Reporter: alice, Status: "live"}, doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o, usage
}

func change(t *testing.T, u object.Update) Change {
	t.Helper()
	c, err := Read(u)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func set(version uint64, value string) object.Update {
	return object.NewUpdate(object.Change{Attribute: "n", Value: []byte(value)}, version, "")
}

// sent is what goes to U/changes, and to observers here.
func sent(o *Object) (all []message.Message) {
	for _, q := range o.Ready() {
		for item, ok := q.Next(); ok; item, ok = q.Next() {
			all = append(all, item.Message())
		}
	}
	return all
}

// Only the next version is taken: one that is old, that comes twice, or that comes too early is a conflict and changes nothing.
func TestChangesComeInOrder(t *testing.T) {
	o, _ := newObject(t, limits.Limits{})
	for _, c := range []struct {
		update object.Update
		code   int
		value  string
	}{
		{set(1, "1"), 0, `{"n":1}`},
		{set(1, "1"), 409, `{"n":1}`},
		{set(3, "3"), 409, `{"n":1}`},
		{object.Update{Attribute: "n", Value: []byte("9")}, 409, `{"n":1}`},
		{set(2, "2"), 0, `{"n":2}`},
		{object.Update{Value: []byte(`{"version":2,"data":{"n":9}}`)}, 409, `{"n":2}`},
		{object.Update{Value: []byte(`{"version":7,"reporter":"hyperty://b.example/bob","status":"strange","data":{"n":7}}`)}, 0, `{"n":7}`},
		{set(3, "3"), 409, `{"n":7}`},
		{object.NewUpdate(object.Change{Attribute: "n.x", Value: []byte("1")}, 8, ""), 400, `{"n":7}`},
	} {
		err := o.Change(change(t, c.update))
		if (err == nil) != (c.code == 0) || err != nil && protocol.CodeOf(err) != c.code {
			t.Errorf("%+v: %v, want code %d", c.update, err, c.code)
		}
		if got := string(o.Document().JSON()); got != c.value {
			t.Errorf("after %+v: %s, want %s", c.update, got, c.value)
		}
	}
	if m := o.Metadata(); m.Reporter != alice || m.Status != "live" || m.Version != 7 {
		t.Errorf("metadata %+v", m)
	}
}

// What is published goes to each once: to U/changes whatever the number of remote runtimes, and to nobody while there are none.
func TestPublishing(t *testing.T) {
	o, _ := newObject(t, limits.Limits{})
	must(t, o.Change(change(t, set(1, "1"))))
	if got := sent(o); len(got) != 0 {
		t.Fatalf("sent %+v, and nobody observes", got)
	}
	must(t, o.Enter(remote, bob))
	must(t, o.Enter("hyperty-runtime://c.example/r", "hyperty://c.example/carol"))
	must(t, o.Observe("hyperty://a.example/near"))
	must(t, o.Change(change(t, set(2, "2"))))
	got := sent(o)
	if len(got) != 2 {
		t.Fatalf("sent %+v", got)
	}
	for _, msg := range got {
		if outside := msg.To == object.Changes(room); outside && (msg.From != room || msg.Source != alice || strings.Contains(string(msg.Body), "resource")) {
			t.Errorf("to others: %+v", msg)
		}
	}
	o.Withdraw(protocol.End{})
	if got = sent(o); len(got) != 2 || got[0].Type != message.Delete || got[1].Type != message.Delete {
		t.Errorf("at the end %+v", got)
	}
}

// A reporter that died and came back: a value that is older than what is known changes nothing, a newer one reaches everybody whole.
func TestReporterComesBack(t *testing.T) {
	o, _ := newObject(t, limits.Limits{})
	must(t, o.Enter(remote, bob))
	must(t, o.Change(change(t, set(1, "1"))))
	sent(o)
	doc, _ := object.Parse([]byte(`{"n":"resumed"}`))
	must(t, o.Resume(object.Metadata{Version: 1}, doc))
	if got := sent(o); len(got) != 0 || o.Metadata().Version != 1 {
		t.Errorf("an old value was published: %+v", got)
	}
	must(t, o.Resume(object.Metadata{Version: 2}, doc))
	if got := sent(o); len(got) != 1 || !strings.Contains(string(got[0].Body), `resumed`) {
		t.Errorf("published %+v", got)
	}
}

func TestObserversElsewhere(t *testing.T) {
	o, usage := newObject(t, limits.Limits{Observers: 2, Remotes: 1})
	for range 2 { // twice is once
		must(t, o.Enter(remote, bob))
	}
	must(t, o.Enter(remote, "hyperty://b.example/bea"))
	for who, at := range map[message.URL]message.URL{"hyperty://b.example/third": remote, "hyperty://c.example/carol": "hyperty-runtime://c.example/r"} {
		if err := o.Enter(at, who); protocol.CodeOf(err) != message.CodeTooMany || o.ObservedBy(who) {
			t.Errorf("%s is one too many: %v", who, err)
		}
	}
	if n, _ := o.Counts(); n != 1 || !o.ObservedBy(bob) || !o.ObservedFrom(remote) {
		t.Errorf("%d runtimes", n)
	}
	if !o.Exit(remote, bob) || o.Exit(remote, bob) || o.Exit("hyperty-runtime://c.example/r", bob) || o.ObservedBy(bob) || !o.ObservedFrom(remote) {
		t.Error("Exit does not tell who was an observer")
	}
	o.RemoteGone(remote)
	if _, _, remotes, _ := usage.Counts(); remotes != 0 || o.ObservedFrom(remote) {
		t.Errorf("%d runtimes are counted", remotes)
	}
}

// The addresses of one runtime's observers have a bound over all objects, which is free again when they end.
func TestBytesOfOneRuntime(t *testing.T) {
	o, usage := newObject(t, limits.Limits{Observers: 1 << 20})
	long, n := strings.Repeat("x", 900), 0
	var err error
	for ; err == nil && n < 1<<16; n++ {
		err = o.Enter(remote, message.URL(fmt.Sprintf("%s/%s%d", remote, long, n)))
	}
	if _, bytes := o.Counts(); protocol.CodeOf(err) != message.CodeTooMany || bytes > 4<<20 || bytes < 3<<20 {
		t.Errorf("%d observers of %d bytes: %v", n, bytes, err)
	}
	o.Withdraw(protocol.End{})
	if reporters, _, remotes, bytes := usage.Counts(); reporters+remotes+bytes != 0 {
		t.Errorf("counted still: %d reporters, %d runtimes, %d bytes", reporters, remotes, bytes)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
