package deliver

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// owner is a host that waits for what it starts.
type owner struct {
	sync.WaitGroup
	refused []error
	claims  int
}

func (o *owner) Claimed()          { o.claims++ }
func (o *owner) Refused(why error) { o.refused = append(o.refused, why) }

// settled is what became of messages.
type settled struct {
	mu    sync.Mutex
	codes map[uint64]int
}

func (s *settled) Settled(number uint64, _ uint32, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[number] = code
}

func (s *settled) Failed(number uint64, cost uint32, _ message.Message, _ error) {
	s.Settled(number, cost, 500)
}

// each is an Acceptor that takes messages one by one; wait: it may wait. It is false where it would have to.
type each func(d *minibus.Delivery, wait bool) bool

func (f each) Accept(_ context.Context, _ message.URL, d *minibus.Delivery) { f(d, true) }

func (f each) TryAccept(_ message.URL, run []minibus.Delivery) (taken int) {
	for taken < len(run) && f(&run[taken], false) {
		taken++
	}
	return taken
}

// batch is messages as they come in a frame, to the addresses, one each.
func batch(by *settled, to ...message.URL) *receiver.Batch {
	var b []byte
	for i, url := range to {
		m := message.Message{ID: message.NumberID(uint64(i) + 1), Type: message.Update, From: "hyperty://a.example/x", To: url, Body: fmt.Appendf(nil, `{"n":%d}`, i+1)}
		if url == "" {
			m.To, m.Body = "hyperty://b.example/y", []byte(`{"n"`)
		}
		b = binary.AppendUvarint(b, uint64(m.RoutingSize()+m.OwnSize())<<1)
		b = m.AppendRouting(binary.AppendUvarint(b, uint64(m.RoutingSize())))
		b = append(m.AppendOwnHead(b), m.Body...)
	}
	if _, err := wire.Measure(b, 0); err != nil {
		panic(err)
	}
	return &receiver.Batch{Items: b, First: 1, By: by, Memory: len(b)}
}

func number(m *message.Message) (n int) {
	fmt.Sscan(m.ID.String(), &n)
	return n
}

// A destination that is behind gets its messages later, in order, and holds up nobody else; one that is no message is refused.
func TestBehind(t *testing.T) {
	const slow, quick message.URL = "hyperty://b.example/slow", "hyperty://b.example/quick"
	var mu sync.Mutex
	got := map[message.URL][]int{}
	gate, host, by := make(chan struct{}), &owner{}, &settled{codes: map[uint64]int{}}
	var hub trace.Hub
	var came []string
	defer hub.Watch(func(e trace.Event) { came = append(came, fmt.Sprint(e.Kind, " ", e.ID, " ", e.Via)) }, false)()
	o := Options{Acceptor: each(func(d *minibus.Delivery, wait bool) bool {
		if d.Message.To == slow {
			if !wait {
				return false
			}
			<-gate
		}
		mu.Lock()
		defer mu.Unlock()
		got[d.Message.To] = append(got[d.Message.To], number(&d.Message))
		if d.Receipt.Source != 7 {
			t.Errorf("%+v", d)
		}
		d.Receipt.Taken()
		return true
	}), Trace: &hub}
	d := New(context.Background(), o, host, "hyperty-runtime://a.example/x", 7)
	d.CameBy("door")
	left, over := d.Deliver(batch(by, slow, quick, "", slow, quick))
	if len(left.Items) > 0 || over {
		t.Errorf("left %+v, over %v", left, over)
	}
	mu.Lock()
	if !slices.Equal(got[quick], []int{2, 5}) || len(got[slow]) != 0 {
		t.Errorf("delivered %v while one is behind", got)
	}
	mu.Unlock()
	waits := 0
	d.Behind(func(to message.URL, messages, bytes int) {
		if waits++; to != slow || messages != 2 || bytes == 0 {
			t.Errorf("%s: %d messages, %d bytes", to, messages, bytes)
		}
	})
	close(gate)
	host.Wait()
	if want := []string{"arrive 1 door", "arrive 2 door", "arrive 4 door", "arrive 5 door"}; !slices.Equal(came, want) {
		t.Errorf("a watcher is told of %q", came)
	}
	if !slices.Equal(got[slow], []int{1, 4}) || waits != 1 || len(by.codes) != 5 || by.codes[3] != message.CodeBadRequest || len(host.refused) != 1 || d.Received() != 4 {
		t.Errorf("delivered %v, settled %v, refused %v, %d counted", got, by.codes, host.refused, d.Received())
	}
}

// Whoever brought a frame does not wait where too many are behind: what is left is delivered by somebody else, once.
func TestStopsHere(t *testing.T) {
	gate, host, by := make(chan struct{}), &owner{}, &settled{codes: map[uint64]int{}}
	tried := 0
	o := Options{Acceptor: each(func(d *minibus.Delivery, wait bool) bool {
		if wait && number(&d.Message) <= MaxBehind {
			<-gate
		}
		if !wait {
			tried++
		}
		if wait {
			d.Receipt.Taken()
		}
		return wait
	})}
	d := New(context.Background(), o, host, "hyperty-runtime://a.example/x", 1)
	var to []message.URL
	for i := range MaxBehind + 1 {
		to = append(to, message.URL(fmt.Sprint("hyperty://b.example/", i)))
	}
	b := batch(by, to...)
	b.Here = true
	left, over := d.Deliver(b)
	if len(left.Items) == 0 || over || left.First != MaxBehind+1 || !left.Again || left.Here {
		t.Fatalf("left %d bytes from %d on, over %v", len(left.Items), left.First, over)
	}
	if left, _ = d.Deliver(&left); len(left.Items) > 0 || by.codes[MaxBehind+1] != message.CodeOK {
		t.Error("the last one is not delivered by who may wait")
	}
	close(gate)
	host.Wait()
	if len(by.codes) != MaxBehind+1 || d.Received() != MaxBehind+1 || tried != MaxBehind+2 {
		t.Errorf("%d settled, %d counted, tried %d times", len(by.codes), d.Received(), tried)
	}
}

// When the runtime ends nothing more is delivered.
func TestEnds(t *testing.T) {
	life, end := context.WithCancel(context.Background())
	end()
	host, by := &owner{}, &settled{codes: map[uint64]int{}}
	d := New(life, Options{Acceptor: each(func(*minibus.Delivery, bool) bool { panic("delivered") })}, host, "hyperty-runtime://a.example/x", 1)
	if _, over := d.Deliver(batch(by, "hyperty://b.example/y")); !over || len(by.codes) != 0 {
		t.Error("delivered after the end")
	}
}
