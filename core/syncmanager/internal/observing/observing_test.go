package observing

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/replica"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

const (
	room message.URL = "comm://b.example/room"
	bob  message.URL = "hyperty://a.example/bob"
)

var errAway = errors.New("nobody answers")

// fetching is an object whose value is asked for.
func fetching() (*Object, *limits.Usage) {
	usage := limits.New(limits.Limits{})
	o := New(room, protocol.Messages{Self: "hyperty-runtime://a.example/r/sm"}, usage)
	o.Subscribing()
	return o, usage
}

// observed is an object of version 0 with one observer.
func observed(t *testing.T) *Object {
	t.Helper()
	o, _ := fetching()
	fetched(t, o, 0, `{"n":0}`)
	if err := o.Observe(bob); err != nil {
		t.Fatal(err)
	}
	o.Subscribed()
	return o
}

func fetched(t *testing.T, o *Object, version uint64, data string) {
	t.Helper()
	doc, err := object.Parse([]byte(data))
	if err == nil {
		err = o.Fetched(object.Metadata{URL: room, Version: version}, doc)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func set(version uint64) object.Update {
	return object.NewUpdate(object.Change{Attribute: "n", Value: []byte(fmt.Sprint(version))}, version, "")
}

// versions are those that the observers are sent; "whole" is a whole value, "end" the object's end.
func versions(o *Object) (all []string) {
	for _, q := range o.Ready() {
		for item, ok := q.Next(); ok; item, ok = q.Next() {
			msg := item.Message()
			var u object.Update
			switch err := msg.Decode(&u); {
			case msg.Type == message.Delete:
				all = append(all, "end")
			case err != nil || u.Version == nil:
				all = append(all, string(msg.Body))
			case u.Attribute == "":
				all = append(all, fmt.Sprint("whole ", *u.Version))
			default:
				all = append(all, fmt.Sprint(*u.Version))
			}
		}
	}
	return all
}

func wantVersions(t *testing.T, o *Object, want ...string) {
	t.Helper()
	if got := versions(o); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("the observers are sent %q, want %q", got, want)
	}
}

// Updates in any order: each is told once, in the order of the versions, or the object is fetched anew.
func TestUpdatesOutOfOrder(t *testing.T) {
	o := observed(t)
	for _, v := range []uint64{1, 1, 2, 1} {
		if err := o.Take(set(v)); err != nil {
			t.Fatal(err)
		}
	}
	wantVersions(t, o, "1", "2")
	if o.StartsRenewal() {
		t.Fatal("nothing was missed")
	}
	if err := o.Take(set(4)); !errors.Is(err, ErrMissed) || !o.StartsRenewal() || o.StartsRenewal() || o.Known() {
		t.Fatalf("an update was missed: %v", err)
	}
	for _, v := range []uint64{3, 6, 5, 4} { // what comes meanwhile
		if err := o.Take(set(v)); err != nil {
			t.Fatal(err)
		}
	}
	wantVersions(t, o)
	if who, everyone := o.Try(); len(who) != 1 || everyone {
		t.Errorf("tries for %q, everyone %v", who, everyone)
	}
	fetched(t, o, 5, `{"n":5}`)
	wantVersions(t, o, "whole 6") // the value as it is when it is sent
	if v := o.Metadata().Version; v != 6 {
		t.Errorf("version %d", v)
	}
	if over, _, _ := o.Tried(time.Now(), nil); !over || !o.Known() {
		t.Error("the renewal is not over")
	}
}

// A gap in what came meanwhile has the object fetched once more.
func TestGapBehindTheValue(t *testing.T) {
	o := observed(t)
	_ = o.Take(set(2))
	_ = o.Take(set(9))
	o.StartsRenewal()
	o.Try()
	fetched(t, o, 3, `{"n":3}`)
	if over, _, pause := o.Tried(time.Now(), nil); over || pause <= 0 || o.Known() {
		t.Fatal("it is not fetched once more")
	}
	o.Try()
	fetched(t, o, 9, `{"n":9}`)
	if over, _, _ := o.Tried(time.Now(), nil); !over || o.Metadata().Version != 9 {
		t.Error("the renewal is not over")
	}
}

// What waits for a value has a bound; the oldest go first.
func TestEarlyUpdatesAreBounded(t *testing.T) {
	o, _ := fetching()
	for v := uint64(1); v <= 4*replica.MaxQueued; v++ {
		if err := o.Take(set(v)); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.early) != replica.MaxQueued || *o.early[0].Version != 3*replica.MaxQueued+1 {
		t.Fatalf("%d updates wait", len(o.early))
	}
	large := set(5000)
	large.Value = []byte(`"` + strings.Repeat("x", replica.MaxQueuedBytes/2) + `"`)
	for range 10 {
		_ = o.Take(large)
	}
	if len(o.early) != 1 || o.bytes > replica.MaxQueuedBytes {
		t.Fatalf("%d updates of %d bytes wait", len(o.early), o.bytes)
	}
}

func TestTriesGoOnUntilOneSucceeds(t *testing.T) {
	o := observed(t)
	o.Renew(true)
	if !o.StartsRenewal() {
		t.Fatal("no renewal")
	}
	var total time.Duration
	for n := range 20 {
		if _, everyone := o.Try(); !everyone {
			t.Fatalf("try %d is not for everyone", n)
		}
		over, gone, pause := o.Tried(time.Now(), errAway)
		if over || gone || pause < time.Second || pause > time.Minute {
			t.Fatalf("try %d: over %v, gone %v, pause %v", n, over, gone, pause)
		}
		total += pause
	}
	if total < 5*time.Minute {
		t.Errorf("20 tries in %v", total)
	}
	o.Try()
	fetched(t, o, 7, `{"n":7}`)
	if over, _, _ := o.Tried(time.Now(), nil); !over {
		t.Error("it is not over")
	}
	wantVersions(t, o, "whole 7")
}

// Whatever is asked for during a try is done by the next one, and for everyone if one wants that.
func TestRenewDuringATry(t *testing.T) {
	o := observed(t)
	o.Renew(false)
	o.StartsRenewal()
	if _, everyone := o.Try(); everyone {
		t.Fatal("one is enough")
	}
	o.Renew(true)
	o.Renew(false)
	fetched(t, o, 0, `{"n":0}`) // the answer is of before
	if over, _, _ := o.Tried(time.Now(), nil); over || o.StartsRenewal() {
		t.Fatal("the second wish is lost, or began twice")
	}
	if _, everyone := o.Try(); !everyone {
		t.Error("the second wish was for everyone")
	}
	if over, _, _ := o.Tried(time.Now(), nil); !over {
		t.Error("it does not end")
	}
	wantVersions(t, o) // the value is the same
}

// A reporter that dies: the object is there for as long as it may come back, and gone after five refusals.
func TestReporterDies(t *testing.T) {
	o := observed(t)
	o.Renew(true)
	o.StartsRenewal()
	refused := protocol.Refuse(message.CodeNotFound, "no such object")
	var since time.Duration
	for n := 1; ; n++ {
		o.Try()
		over, gone, pause := o.Tried(time.Now(), refused)
		if n < maxRefusals {
			since += pause
			if over || gone {
				t.Fatalf("gone at refusal %d", n)
			}
			continue
		}
		if !over || !gone || since < 10*time.Second {
			t.Fatalf("refusal %d: over %v, gone %v, after %v", n, over, gone, since)
		}
		break
	}
	o.Forget(protocol.End{})
	wantVersions(t, o, "end")
	if !o.Idle() {
		t.Error("it has observers still")
	}
}

// The end comes while the value is fetched anew: what follows the known version is told before it.
func TestEndWhileFetching(t *testing.T) {
	o := observed(t)
	o.Renew(true)
	for v := uint64(1); v <= 2; v++ {
		_ = o.Take(set(v))
	}
	o.Ending()
	o.Forget(protocol.End{})
	wantVersions(t, o, "1", "2", "end")

	o, usage := fetching() // and nobody has it yet
	_ = o.Take(set(1))
	o.Ending()
	o.Forget(protocol.End{})
	wantVersions(t, o)
	if _, _, _, bytes := usage.Counts(); bytes != 0 {
		t.Errorf("%d bytes are counted", bytes)
	}
}

// Nobody observes any more, or not yet: there is nothing to renew for.
func TestNobodyObserves(t *testing.T) {
	o := observed(t)
	o.Renew(false)
	o.StartsRenewal()
	o.Try()
	o.Leave(bob)
	if over, gone, _ := o.Tried(time.Now(), errAway); !over || gone || !o.Idle() {
		t.Error("the renewal goes on for nobody")
	}
	o.Subscribing()
	o.Renew(true)
	if o.StartsRenewal() || o.Known() {
		t.Error("the subscribe that is under way is enough, and its value counts")
	}
	fetched(t, o, 3, `{"n":3}`)
	fetched(t, o, 1, `{"n":1}`) // the answer to an older subscribe
	if v := o.Metadata().Version; v != 3 {
		t.Errorf("version %d", v)
	}
}

func TestWholeValues(t *testing.T) {
	o := observed(t)
	whole := func(value string) error { return o.Take(object.Update{Value: []byte(value)}) }
	for _, bad := range []string{`7`, `{"version":9,"data":[]}`} {
		if err := whole(bad); err == nil || errors.Is(err, ErrMissed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := whole(`{"version":5,"url":"comm://x.example/y","reporter":"hyperty://x.example/y","data":{"n":5}}`); err != nil {
		t.Fatal(err)
	}
	if err := whole(`{"version":4,"data":{"n":4}}`); err != nil {
		t.Fatal(err)
	}
	if m := o.Metadata(); m.Version != 5 || m.URL != room || m.Reporter != "" {
		t.Errorf("metadata %+v", m)
	}
	wantVersions(t, o, "whole 5")
}
