package receiver

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// A peer that announces without end has no more kept than for one frame of messages.
func TestAnnouncementsAreBounded(t *testing.T) {
	for _, length := range []int{1, 900} {
		var theirs claims
		for n := range 10 * maxClaims {
			theirs.add(wire.Claim{Address: message.URL(fmt.Sprintf("hyperty://a.example/%0*d", length, n))}.Record())
		}
		if n, size := len(theirs.coming), theirs.size; n > maxClaims || size > maxUntakenBytes+message.MaxURL {
			t.Errorf("%d are kept, of %d bytes", n, size)
		}
	}
}

const ms = time.Millisecond

// items are n messages of a size as they are in a frame.
func items(n, size int) []byte {
	m := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://a.example/x", To: "hyperty://b.example/y", Body: []byte(`"` + strings.Repeat("x", size) + `"`)}
	var b []byte
	for i := range n {
		if i == 0 {
			b = binary.AppendUvarint(b, uint64(m.RoutingSize()+m.OwnSize())<<1)
			b = m.AppendRouting(binary.AppendUvarint(b, uint64(m.RoutingSize())))
		} else {
			b = binary.AppendUvarint(b, uint64(m.OwnSize())<<1|wire.ShortForm)
		}
		b = append(m.AppendOwnHead(b), m.Body...)
	}
	return b
}

func receiver() *Receiver {
	r := New(Options{InboxBytes: 100 << 10, AckFrames: 32, AckDelay: 20 * ms, Claims: true})
	r.Generation(1)
	return &r
}

// frame gives a receiver a frame with messages from number first on, and says what it is and whether its messages are to be
// delivered by whoever brought it.
func frame(r *Receiver, first uint64, n, size int, now time.Duration) (b Batch, v Verdict, cost int, here bool) {
	list := items(n, size)
	e, err := wire.Measure(list, 0)
	if err != nil {
		panic(err)
	}
	var left wire.Extent
	b, left, v = r.Take(&wire.Fields{Gen: 1, Base: 1, First: first}, e, list, false, now)
	if v == Fresh {
		cost, here = r.Put(&b, left, true)
		r.Count(cost, now)
	}
	return b, v, cost, here
}

func next(r *Receiver) uint64 {
	var f wire.Fields
	r.FieldsAside(&f)
	return f.Next
}

// Each number is taken once: what was received is a duplicate, of what is received in part the rest is new, and what is
// missing is asked for, once in a while.
func TestTakesOnce(t *testing.T) {
	r := receiver()
	if _, v, _, _ := frame(r, 1, 4, 10, 1); v != Fresh || next(r) != 5 {
		t.Fatalf("%v, expects %d", v, next(r))
	}
	if _, v, _, _ := frame(r, 1, 4, 10, 1); v != Duplicate || !r.WantsAck() {
		t.Errorf("the same again is %v", v)
	}
	b, v, cost, _ := frame(r, 3, 4, 10, 1)
	whole, _ := wire.Measure(items(2, 10), 0)
	if v != Fresh || b.First != 5 || b.Routing == nil || next(r) != 7 || cost != wire.Cost(uint64(whole.Size), 2) {
		t.Errorf("half of it again is %v: from %d on, which counts for %d", v, b.First, cost)
	}
	if _, v, _, _ := frame(r, 9, 1, 10, 1); v != Gap || !r.WantsResume() || next(r) != 7 {
		t.Errorf("behind a gap it is %v", v)
	}
	r.Told()
	if _, v, _, _ := frame(r, 10, 1, 10, 1+resumePause/2); v != Nothing || r.WantsResume() {
		t.Errorf("asked again at once: %v", v)
	}
	if _, v, _, _ := frame(r, 10, 1, 10, 1+resumePause); v != Gap {
		t.Errorf("never asked again: %v", v)
	}
	if b, left, v := r.Take(&wire.Fields{Base: 20, First: 20}, wire.Extent{}, nil, false, 1); v != Nothing || next(r) != 20 || b.Items != nil || left.Count != 0 {
		t.Errorf("what the peer has given up is still expected: %d", next(r))
	}
}

// Frames of a generation that was left count for nothing.
func TestGenerations(t *testing.T) {
	fresh := New(Options{InboxBytes: 1 << 10, AckFrames: 1})
	r := &fresh
	for _, c := range []struct {
		gen        uint64
		old, newer bool
	}{{1, false, true}, {1, false, false}, {3, false, true}, {2, true, false}, {3, false, false}} {
		if old, newer := r.Generation(c.gen); old != c.old || newer != c.newer {
			t.Errorf("generation %d: old %v, newer %v", c.gen, old, newer)
		}
	}
	r.Restart()
	if old, newer := r.Generation(1); old || !newer || next(r) != 1 || !r.WantsAck() {
		t.Error("another incarnation does not begin anew")
	}
}

// What has come is acknowledged after a while, after some frames, or after some bytes.
func TestAcknowledges(t *testing.T) {
	r := receiver()
	frame(r, 1, 1, 10, time.Second)
	if r.WantsAck() || !r.Owes() || r.AckDue() != time.Second+20*ms {
		t.Errorf("at once: %v, due at %v", r.WantsAck(), r.AckDue())
	}
	frame(r, 2, 1, 10, time.Second+10*ms)
	if r.Tick(time.Second + 19*ms); r.WantsAck() || r.AckDue() != time.Second+20*ms {
		t.Error("a second frame puts it off, or it is too soon")
	}
	if r.Tick(time.Second + 20*ms); !r.WantsAck() {
		t.Error("not when it is due")
	}
	var f wire.Fields
	if r.Fields(&f, false); r.Owes() || f.Next != 3 || f.Inbox != 100<<10 || f.Room >= f.Inbox {
		t.Errorf("still owed after it was said: %+v", f)
	}
	for n := range uint64(32) {
		if r.WantsAck() {
			t.Fatalf("at once after %d frames", n)
		}
		frame(r, 3+n, 1, 10, time.Minute)
	}
	if !r.WantsAck() {
		t.Error("not after many frames")
	}
	r.Told()
	if frame(r, 35, 20, 1000, time.Minute); !r.WantsAck() {
		t.Error("not after many bytes")
	}
}

// A full inbox takes nothing until much was taken out of it; then the peer is asked to send again.
func TestFullInbox(t *testing.T) {
	r := receiver()
	n, costs := uint64(1), 0
	for {
		_, v, cost, _ := frame(r, n, 10, 1000, 1)
		if v == Overrun {
			break
		}
		n, costs = n+10, costs+cost
	}
	if costs != r.Cost() || costs < 100<<10 || costs > 115<<10 || next(r) != n {
		t.Errorf("%d of 100 KiB wait, counted as %d", costs, r.Cost())
	}
	var f wire.Fields
	if r.Fields(&f, false); f.Room != 0 {
		t.Errorf("the peer is told of %d bytes of room", f.Room)
	}
	if r.Settled(costs/4, false) {
		t.Error("tells the peer of every byte that comes back")
	}
	if !r.Settled(costs/2, false) || !r.WantsResume() || !r.WantsAck() {
		t.Error("does not ask for what there was no room for")
	}
	r.Fields(&f, true)
	if f.Room != 0 {
		t.Error("has room though there is none for all sessions together")
	}
	r.Settled(r.Cost(), true)
	if r.Fields(&f, true); f.Room == 0 {
		t.Error("a session that has nothing has no room")
	}
}

// One delivers at a time: whoever brings a short frame where nobody is at work, else somebody else, in the order in which the
// frames came.
func TestOneDelivers(t *testing.T) {
	r := receiver()
	b, _, _, here := frame(r, 1, 2, 10, 1)
	if !here || !b.Here || !r.Busy() || r.Start() {
		t.Fatal("whoever brings a short frame does not deliver it, or another one begins as well")
	}
	if _, _, _, here := frame(r, 3, 1, 10, 1); here || r.Backlog() != 1 {
		t.Error("two deliver at the same time")
	}
	left := b
	left.First = 2
	r.Finished(left)
	if r.Busy() || r.Backlog() != 2 || !r.Start() {
		t.Error("what is left is not delivered")
	}
	list := r.Batches(nil)
	if len(list) != 2 || list[0].First != 2 || list[1].First != 3 || !r.Busy() {
		t.Errorf("%+v", list)
	}
	if list = r.Batches(list); len(list) != 0 || r.Busy() {
		t.Error("somebody is busy with nothing")
	}
	if _, _, _, here := frame(r, 4, ShortRun+1, 10, 1); here || !r.Start() {
		t.Error("whoever brings a long frame delivers it")
	}
	if r.Batches(nil); !r.Busy() {
		t.Error("nobody is busy")
	}
	r.Finished(Batch{})
	if r.Rest(); !r.Resting() || r.Busy() {
		t.Error("an idle receiver keeps something")
	}
}

// What waits is not changed when the frame's memory is used again.
func TestOwnMemory(t *testing.T) {
	r := receiver()
	list := items(20, 10)
	e, _ := wire.Measure(list, 0)
	b, left, _ := r.Take(&wire.Fields{Gen: 1, Base: 1, First: 1}, e, list, false, 1)
	b.Lent = true
	want := bytes.Clone(list)
	r.Put(&b, left, true)
	clear(list)
	if got := r.Batches(nil); len(got) != 1 || got[0].Lent || !bytes.Equal(got[0].Items, want) {
		t.Error("it is the frame's memory")
	}
}

// What the peer says of its addresses is taken before what came behind it; an end by itself is taken in its turn, and many of
// them take one place.
func TestClaims(t *testing.T) {
	r := receiver()
	address := wire.Claim{Address: "hyperty://a.example/x"}
	r.Claim(address.Record())
	if b, _, _, _ := frame(r, 1, 1, 10, 1); !b.Claims {
		t.Error("nobody is told that there are claims")
	}
	end := wire.Claim{Address: "hyperty://a.example/x", Ended: true}
	for n := range uint64(5) {
		r.Claim(end.Record())
		e := wire.Extent{Count: 1, Records: 1}
		b, left, v := r.Take(&wire.Fields{Base: 1, First: 2 + n}, e, append([]byte{0}, end.Record()...), false, 1)
		if v != Fresh {
			t.Fatal(v)
		}
		r.Put(&b, left, true)
	}
	if r.Backlog() != 1 {
		t.Errorf("%d batches wait because of ends", r.Backlog())
	}
	if list := r.TakeClaims(); len(list) != 6 || list[0] != address || list[5] != end || len(r.TakeClaims()) != 0 {
		t.Errorf("%v", list)
	}
	deaf := New(Options{InboxBytes: 1 << 10, AckFrames: 1})
	if deaf.Claim(address.Record()); len(deaf.TakeClaims()) != 0 {
		t.Error("claims are kept though nobody takes them")
	}
}
