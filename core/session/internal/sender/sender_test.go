package sender

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// push gives a sender messages of a size to one address, as far as they may enter, and says how many did.
func push(s *Sender, to message.URL, n, size int, now time.Duration) (entered int) {
	for range n {
		m := letter(1, size)
		m.To = to
		d, cost := s.To(wire.KeyOf(&m)), wire.Cost(uint64(m.RoutingSize()+m.OwnSize()), 1)
		if !s.MayEnter(d, cost) {
			s.Forget(d)
			return entered
		}
		s.Push(d, &m, cost, true, s.Expiry(now))
		entered++
	}
	return entered
}

// said is what a frame of the peer says.
func said(s *Sender, next, room uint64) Acked {
	f := wire.Fields{Seen: s.gen, Next: next, Room: room}
	if !s.Possible(&f) {
		panic(fmt.Sprint("impossible: ", next))
	}
	return s.Acknowledged(&f)
}

func count(packed []byte) uint64 {
	e, err := wire.Measure(packed, 0)
	if err != nil {
		panic(err)
	}
	return e.Count
}

// A sender sends what it was given once, and again from the first that is not acknowledged when it goes back.
func TestGoesBack(t *testing.T) {
	s := New(Options{RingBytes: 1 << 20, FrameBytes: 1 << 10, InboxBytes: 1 << 20})
	push(&s, "hyperty://b.example/y", 30, 100, 1)
	if s.MaySend() {
		t.Error("sends before the peer has said that it has room")
	}
	s.Restart()
	sent := uint64(0)
	for s.MaySend() {
		sent += count(s.Pack(nil))
	}
	if sent != 30 || s.Unsent() {
		t.Fatalf("%d of 30 were sent", sent)
	}
	if a := said(&s, 11, 1<<20); !a.Progress || a.Freed == 0 || s.Unacked() != 20 || s.Outstanding() != 30 {
		t.Errorf("%+v, %d not acknowledged, %d outstanding", a, s.Unacked(), s.Outstanding())
	}
	gen, _, _ := s.Stats()
	s.Rewind()
	var f wire.Fields
	if s.Fields(&f); f.Gen != gen+1 || f.First != 11 || f.Base != 11 {
		t.Errorf("goes back to %+v", f)
	}
	if s.Asked(gen) || !s.Asked(gen+1) {
		t.Error("a wish for an older generation counts, or one for this does not")
	}
	at := s.Position()
	s.Pack(nil)
	s.GoBack(at) // the path did not take the frame
	if n := count(s.Pack(nil)); n == 0 || s.Position().cursor != 11+n {
		t.Errorf("%d are sent after the frame was taken back, up to %d", n, s.Position().cursor)
	}
	if f := (wire.Fields{Seen: gen, Next: 40}); s.Possible(&f) {
		t.Error("what was never sent can be acknowledged")
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// The peer's room bounds what is sent, up to one message more.
func TestRoom(t *testing.T) {
	s := New(Options{RingBytes: 1 << 20, FrameBytes: 1 << 20, InboxBytes: 1 << 20})
	push(&s, "hyperty://b.example/y", 100, 1000, 1)
	s.Restart()
	said(&s, 1, 10_000)
	n := uint64(0)
	for s.MaySend() {
		n += count(s.Pack(nil))
	}
	if n < 9 || n > 11 {
		t.Errorf("%d messages of 1 KB into a room of 10 KB", n)
	}
	if a := said(&s, 1, 10_000); a.Opened {
		t.Error("the same room is more room")
	}
	if a := said(&s, 1, 20_000); !a.Opened || !s.MaySend() {
		t.Error("more room does not let more be sent")
	}
	said(&s, 1, 1<<20)
	for s.MaySend() {
		s.Pack(nil)
	}
	if a := said(&s, 1, 2<<20); a.Opened {
		t.Error("more room opens the way, and nothing waits for it")
	}
}

// What is not acknowledged in time is given up, that which was sent apart from that which was not.
func TestExpires(t *testing.T) {
	s := New(Options{RingBytes: 1 << 20, FrameBytes: 1, InboxBytes: 1 << 20, TTL: 10 * time.Second})
	push(&s, "hyperty://b.example/y", 2, 100, time.Second)
	push(&s, "hyperty://b.example/y", 1, 100, 5*time.Second)
	s.Restart()
	s.Pack(nil)
	if due := s.Due(); due != 11*time.Second {
		t.Errorf("due at %v", due)
	}
	if _, any := s.DropExpired(11*time.Second - 1); any {
		t.Error("given up before its time")
	}
	d, any := s.DropExpired(11 * time.Second)
	if !any || len(d.Sent) != 1 || len(d.Unsent) != 1 || d.Freed == 0 || s.Unacked() != 1 || s.Due() != 15*time.Second {
		t.Errorf("%d sent and %d not sent are given up; %d left, due at %v", len(d.Sent), len(d.Unsent), s.Unacked(), s.Due())
	}
	var f wire.Fields
	if s.Fields(&f); f.Base != 3 || f.First != 3 {
		t.Errorf("goes on at %+v", f)
	}
}

// A record of the session expires as well, and is given back, so that it can be made again.
func TestRecordsExpire(t *testing.T) {
	s := New(Options{RingBytes: 1 << 20, FrameBytes: 1 << 10, TTL: time.Second})
	report, _ := wire.AppendReport(nil, 7, 200, []wire.Span{{A: 1, B: 9}})
	s.PushRecord(report, 0)
	s.Date(time.Second)
	if s.Unacked() != 0 || s.Empty() {
		t.Error("a record is counted as a message, or not at all")
	}
	if d, _ := s.DropExpired(2 * time.Second); len(d.Records) != 1 || !slices.Equal(d.Records[0], report) || !s.Empty() {
		t.Errorf("%v", d.Records)
	}
}

// A destination that is behind has its share of the peer's inbox, and leaves some for others, until what it was sent is taken.
func TestCredit(t *testing.T) {
	s := New(Options{RingBytes: 64 << 20, FrameBytes: 1 << 20, InboxBytes: 1 << 20})
	slow := push(&s, "hyperty://b.example/slow", 10_000, 1000, 1)
	if cost := slow * 1200; cost < 1<<18 || cost > 1<<19 {
		t.Errorf("%d messages to one destination, of a share of a quarter to a half of 1 MiB", slow)
	}
	for i := range 100 {
		if push(&s, message.URL(fmt.Sprint("hyperty://b.example/other", i)), 1, 1000, 1) != 1 {
			t.Fatalf("destination %d has to wait for a slow one", i)
		}
	}
	s.Restart()
	said(&s, 1, 1<<20)
	for s.MaySend() {
		s.Pack(nil)
	}
	said(&s, s.sent, 1<<20)
	if push(&s, "hyperty://b.example/slow", 1, 1000, 1) != 0 {
		t.Error("what is acknowledged and not taken gives credit back")
	}
	if !s.Untaken() {
		t.Error("nothing is acknowledged and not taken")
	}
	report := func(incarnation, a, b uint64) Report {
		record, _ := wire.AppendReport(nil, incarnation, message.CodeOK, []wire.Span{{A: a, B: b}})
		r, ok := s.Reported(record, 7)
		if !ok {
			t.Fatal("no report")
		}
		return r
	}
	if r := report(8, 1, uint64(slow)+1); !r.Impossible || r.Freed != 0 {
		t.Errorf("a report to another incarnation: %+v", r)
	}
	if _, ok := s.Reported(wire.Claim{Address: "hyperty://b.example/1"}.Record(), 7); ok {
		t.Error("a claim is taken for a report")
	}
	r := report(7, 1, uint64(slow)+1)
	if told, freed := len(r.Watched), r.Freed; r.Impossible || told != slow || freed != slow*recordCost || push(&s, "hyperty://b.example/slow", 1, 1000, 1) != 1 {
		t.Errorf("taken: %+v", r)
	}
	if r := report(7, s.sent, s.sent+1); !r.Impossible {
		t.Error("what is not acknowledged can be taken")
	}
}

type waits int

func (w waits) Cost() int { return int(w) }

// Who waits is served in turn, each destination by itself, and only where there is credit.
func TestWaiting(t *testing.T) {
	s := New(Options{RingBytes: 1 << 20, InboxBytes: 1 << 20})
	at := func(url message.URL) *Destination { return s.To(wire.Key{URL: url}) }
	for i := range 3 {
		s.Wait(at("hyperty://b.example/a"), waits(10+i))
	}
	s.Wait(at("hyperty://b.example/b"), waits(20))
	var order []int
	for {
		w, place, ok := s.Next(0)
		if !ok {
			break
		}
		s.Serve(place)
		order = append(order, w.Cost())
	}
	if !slices.Equal(order, []int{10, 20, 11, 12}) || s.Waiting() != 0 {
		t.Errorf("served %v, %d wait", order, s.Waiting())
	}
	s.Wait(at("hyperty://b.example/a"), waits(1))
	if s.MayEnter(at("hyperty://b.example/a"), 1) {
		t.Error("one passes those that wait for the same destination")
	}
	s.Full(true)
	if s.MayEnter(at("hyperty://b.example/b"), 1) {
		t.Error("one passes another that waits for room")
	}
	s.StopWaiting(at("hyperty://b.example/a"), waits(1))
	if _, _, ok := s.Next(0); ok || s.Waiting() != 0 {
		t.Error("one that does not wait any more is served")
	}
}

// What the peer's last life was sent is given up when another begins; what it was not sent stays.
func TestDrops(t *testing.T) {
	s := New(Options{RingBytes: 1 << 20, FrameBytes: 1, InboxBytes: 1 << 20})
	push(&s, "hyperty://b.example/y", 5, 100, 1)
	s.Restart()
	for range 3 {
		s.Pack(nil)
	}
	said(&s, 2, 1<<20)
	if d := s.DropAcknowledged(); len(d.Sent) != 1 || len(d.Unsent) != 0 {
		t.Errorf("acknowledged: %+v", d)
	}
	if d := s.DropSent(); len(d.Sent) != 2 || len(d.Unsent) != 0 || s.Unacked() != 2 {
		t.Errorf("sent: %+v, %d left", d, s.Unacked())
	}
	if d := s.DropAll(); len(d.Unsent) != 2 || s.Outstanding() != 0 || !s.Empty() {
		t.Errorf("all: %+v, %d left", d, s.Outstanding())
	}
	s.Rest()
	if n := s.Memory(); n != 0 {
		t.Errorf("an idle sender keeps %d", n)
	}
}

// An address is announced once, again after something made the peer forget, and of how many that is remembered has a bound.
func TestAddresses(t *testing.T) {
	var own addresses
	m := letter(1, 10)
	if c, needed := own.announce(&m); !needed || c.Address != m.From {
		t.Errorf("%+v, %v", c, needed)
	}
	if _, needed := own.announce(&m); needed {
		t.Error("announced twice")
	}
	own.forget()
	if _, needed := own.announce(&m); !needed {
		t.Error("not announced again")
	}
	if !own.end(m.From) || own.end(m.From) {
		t.Error("an end is told twice, or not at all")
	}
	for n := range 3 * maxAnnounced {
		own.note(message.URL(fmt.Sprintf("hyperty://a.example/%d", n)))
		if len(own.told) > maxAnnounced {
			t.Fatalf("%d own ones are remembered", len(own.told))
		}
	}
}

// The peer may have taken any of the messages that it has acknowledged, in whatever order its listeners took them.
func TestTakenInAnyOrder(t *testing.T) {
	for _, order := range [][]uint64{{1, 2, 3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3, 2, 1}, {4, 1, 8, 3, 6, 5, 7, 2}} {
		s := New(Options{RingBytes: 1 << 20, FrameBytes: 1 << 10, InboxBytes: 1 << 20})
		push(&s, "hyperty://b.example/y", len(order), 100, 1)
		s.Restart()
		for s.MaySend() {
			s.Pack(nil)
		}
		said(&s, s.sent, 1<<20)
		for i, n := range order {
			record, _ := wire.AppendReport(nil, 7, message.CodeOK, []wire.Span{{A: n, B: n + 1}})
			if r, ok := s.Reported(record, 7); !ok || len(r.Watched) != 1 || r.Freed != recordCost || s.Outstanding() != len(order)-i-1 {
				t.Fatalf("%v: after number %d %d are outstanding, %+v", order, n, s.Outstanding(), r)
			}
			if r, _ := s.Reported(record, 7); len(r.Watched) != 0 || r.Freed != 0 {
				t.Fatalf("%v: number %d is taken twice", order, n)
			}
		}
	}
}

// Posters are held up by a destination that has not taken what it was sent, not by one that was sent nothing.
func TestHeldUp(t *testing.T) {
	s := New(Options{RingBytes: 1 << 20, InboxBytes: 1 << 20})
	at := func(url message.URL) *Destination { return s.To(wire.Key{URL: url}) }
	push(&s, "hyperty://b.example/slow", 3, 100, 1)
	m := letter(1, 100)
	m.To = "hyperty://b.example/slow"
	slow := s.To(wire.KeyOf(&m))
	s.Wait(slow, waits(1))
	s.Wait(slow, waits(2))
	s.Wait(at("hyperty://b.example/free"), waits(1))
	var got []string
	s.HeldUp(func(to message.URL, messages, bytes, posters int) {
		got = append(got, fmt.Sprint(to, " ", messages, " ", bytes > 300, " ", posters))
	})
	if want := []string{"hyperty://b.example/slow 3 true 2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A destination that many have waited for keeps no room for them once nobody does: it is kept for the next one.
func TestWaitersLeaveNoRoom(t *testing.T) {
	const many = 1000
	for name, end := range map[string]func(s *Sender, d *Destination){
		"served": func(s *Sender, d *Destination) {
			for range many {
				_, place, _ := s.Next(0)
				s.Serve(place)
			}
			s.Forget(d)
		},
		"given up": func(s *Sender, d *Destination) {
			for i := range many {
				s.StopWaiting(d, waits(i))
			}
		},
	} {
		s := New(Options{RingBytes: 1 << 20, InboxBytes: 1 << 20})
		d := s.To(wire.Key{URL: "hyperty://b.example/a"})
		for i := range many {
			s.Wait(d, waits(i))
		}
		if end(&s, d); cap(d.waiters) > 0 || len(s.out.spare) != 1 {
			t.Errorf("%s: room for %d, %d destinations are spare", name, cap(d.waiters), len(s.out.spare))
		}
	}
}
