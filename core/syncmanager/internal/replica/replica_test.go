package replica

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/syncmanager/internal/limits"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self message.URL = "hyperty-runtime://a.example/r/sm"
	room message.URL = "comm://a.example/room"
	bob  message.URL = "hyperty://a.example/bob"
	bea  message.URL = "hyperty://a.example/bea"
)

func newReplica(t *testing.T, l limits.Limits, observers ...message.URL) (*Replica, *limits.Usage) {
	t.Helper()
	usage := limits.New(l)
	r := New(room, protocol.Messages{Self: self}, usage)
	set(t, r, 0, `{"n":0}`)
	for _, o := range observers {
		if err := r.Observe(o); err != nil {
			t.Fatal(err)
		}
	}
	return r, usage
}

func set(t *testing.T, r *Replica, version uint64, data string) {
	t.Helper()
	doc, err := object.Parse([]byte(data))
	if err == nil {
		err = r.Set(object.Metadata{URL: room, Version: version}, doc)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func update(version uint64, value string) object.Update {
	return object.NewUpdate(object.Change{Attribute: "n", Value: []byte(value)}, version, "")
}

// sent empties the queues that are ready and returns what each sends.
func sent(r *Replica) map[message.URL][]string {
	all := make(map[message.URL][]string)
	ready := r.Ready()
	for n, q := range ready {
		if slices.Contains(ready[:n], q) {
			panic("two would send from one queue")
		}
		for item, ok := q.Next(); ok; item, ok = q.Next() {
			msg := item.Message()
			all[msg.To] = append(all[msg.To], msg.Type.String()+" "+string(msg.Body))
		}
	}
	return all
}

func TestUpdatesKeepTheirOrderForEachObserver(t *testing.T) {
	r, _ := newReplica(t, limits.Limits{}, bob, bea, bob)
	for v := uint64(1); v <= 3; v++ {
		r.Tell(update(v, fmt.Sprint(v)))
	}
	all := sent(r)
	for _, who := range []message.URL{bob, bea} {
		if len(all[who]) != 3 {
			t.Fatalf("%s got %q", who, all[who])
		}
		for n, got := range all[who] {
			if !strings.Contains(got, fmt.Sprintf(`"version":%d,`, n+1)) || !strings.Contains(got, string(room)) {
				t.Errorf("%s got %s as number %d", who, got, n)
			}
		}
	}
	if len(r.Ready()) != 0 {
		t.Error("queues are ready with nothing in them")
	}
	r.Tell(update(4, "4"))
	if len(r.Ready()) != 2 {
		t.Error("queues that were emptied are not ready again")
	}
}

// An observer that takes nothing gets the whole value, as it is when it takes the next.
func TestSlowObserverGetsTheWholeValue(t *testing.T) {
	for name, value := range map[string]string{"many": "1", "large": `"` + strings.Repeat("x", 10<<10) + `"`} {
		t.Run(name, func(t *testing.T) {
			r, _ := newReplica(t, limits.Limits{}, bob)
			for v := range uint64(1000) {
				r.Tell(update(v, value))
			}
			set(t, r, 1000, `{"n":"last"}`)
			got := sent(r)[bob]
			if len(got) != 1 || !strings.Contains(got[0], `"version":1000`) || !strings.Contains(got[0], `{"n":"last"}`) {
				t.Errorf("%d messages, the first %.200q", len(got), got)
			}
		})
	}
}

func TestEndComesBehindUpdates(t *testing.T) {
	r, usage := newReplica(t, limits.Limits{}, bob)
	r.Tell(update(1, "1"))
	r.End(protocol.End{})
	got := sent(r)[bob]
	if len(got) != 2 || !strings.HasPrefix(got[0], "update") || !strings.HasPrefix(got[1], "delete") {
		t.Errorf("sent %q", got)
	}
	if _, observers, _, bytes := usage.Counts(); observers != 0 || bytes != 0 || r.Observed() {
		t.Errorf("%d observers and %d bytes are counted", observers, bytes)
	}
}

// Of an object that is gone nothing large waits for a slow observer.
func TestEndReplacesWhatIsLarge(t *testing.T) {
	large := strings.Repeat("x", maxBeforeEnd)
	for name, prepare := range map[string]func(r *Replica){
		"updates": func(r *Replica) { r.Tell(update(1, `"`+large+`"`)) },
		"value":   func(r *Replica) { set(t, r, 1, `{"n":"`+large+`"}`); r.TellAll() },
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newReplica(t, limits.Limits{}, bob)
			prepare(r)
			r.End(protocol.End{})
			if got := sent(r)[bob]; len(got) != 1 || !strings.HasPrefix(got[0], "delete") {
				t.Errorf("sent %.100q", got)
			}
		})
	}
}

func TestLosingObserver(t *testing.T) {
	r, _ := newReplica(t, limits.Limits{}, bob, bea)
	r.Tell(update(1, "1"))
	r.Lose(bob, protocol.End{})
	r.Lose("hyperty://a.example/nobody", protocol.End{})
	all := sent(r)
	if len(all[bob]) != 1 || !strings.HasPrefix(all[bob][0], "delete") || len(all[bea]) != 1 || r.Observes(bob) || !r.Observes(bea) {
		t.Errorf("sent %q", all)
	}
	if r.Leave(bob) || !r.Leave(bea) || r.Leave(bea) {
		t.Error("Leave does not tell who was an observer")
	}
}

func TestLimitsOfReplica(t *testing.T) {
	r, usage := newReplica(t, limits.Limits{Observers: 1, Bytes: 100}, bob)
	if err := r.Observe(bea); protocol.CodeOf(err) != message.CodeTooMany {
		t.Errorf("one more observer: %v", err)
	}
	doc, _ := object.Parse([]byte(`{"n":"` + strings.Repeat("x", 200) + `"}`))
	if err := r.Set(object.Metadata{Version: 7}, doc); protocol.CodeOf(err) != message.CodeTooMany {
		t.Errorf("a large value: %v", err)
	}
	if r.Metadata().Version != 0 || string(r.Document().JSON()) != `{"n":0}` {
		t.Error("what was refused has changed the object")
	}
	other := New("comm://a.example/other", protocol.Messages{Self: self}, usage)
	usage.SetLimits(limits.Limits{PerComponent: 1})
	if err := other.Observe(bob); protocol.CodeOf(err) != message.CodeTooMany {
		t.Errorf("one more object of an observer: %v", err)
	}
}
