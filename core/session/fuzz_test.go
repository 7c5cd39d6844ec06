package session

import (
	"context"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// FuzzReceive gives a session frames that were opened, so that what is behind the seal is reached: nothing may
// panic, and nothing that was not acknowledged by a possible number may be freed.
func FuzzReceive(f *testing.F) {
	letterBytes := func() []byte {
		r := newRing()
		m := letter(1, 30)
		r.push(&m, 0)
		r.push(&m, 0)
		packed, _ := r.pack(nil, 1, 1<<10, maxNumber)
		return packed
	}()
	base := fields{gen: 1, seen: 0, next: 1, room: 1000, base: 1, first: 1}
	whole := func(f fields, messages []byte) []byte { return append(f.append(nil), messages...) }
	f.Add(byte(data), false, whole(base, nil))
	f.Add(byte(data), false, whole(base, letterBytes))
	high := fields{gen: maxNumber, seen: maxNumber, next: maxNumber, room: maxNumber, base: maxNumber, first: maxNumber}
	f.Add(byte(resume), false, whole(high, letterBytes))
	f.Add(byte(hello), true, []byte{stepAsk})
	f.Add(byte(hello), false, append([]byte{stepSecond}, make([]byte, secondSize)...))
	f.Add(byte(probe), true, whole(base, nil))
	f.Add(byte(data), false, whole(base, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1}))
	taken := []byte{0, recordTaken, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0xc8, 1, 1, 1}
	f.Add(byte(data), false, whole(base, taken))
	acknowledges := base
	acknowledges.next = 2
	f.Add(byte(data), false, whole(acknowledges, append(append(taken, letterBytes...), 0, 9, 1, 1)))
	f.Fuzz(func(t *testing.T, k byte, stranger bool, body []byte) {
		s := New(Options{
			Self: alice, Key: aliceSelf.key, Incarnation: 1, Linger: time.Nanosecond,
			Send:    func(context.Context, Path, message.URL, ...[]byte) error { return nil },
			Deliver: taking(func(context.Context, message.URL, message.Message) {}),
		})
		one, err := s.session(bob)
		if err != nil {
			t.Fatal(err)
		}
		peer := one.marry(2)
		if err := s.Post(t.Context(), bob, relay, letter(1, 30)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			h := head{kind: kind(k), from: 2, to: 1}
			if stranger {
				h.from = 3
			}
			s.Receive(t.Context(), bob, relay, append([]byte(nil), body...))        // nonsense
			s.Receive(t.Context(), bob, relay, append(appendHead(nil, h), body...)) // not sealed
			aead := peer.out.stamp(&h, &s.o, len(body))
			if h.kind != hello {
				s.Receive(t.Context(), bob, relay, seal(aead, append(appendHead(nil, h), body...)))
			}
		}
		one.mu.Lock()
		if one.ring.base > one.sent || one.cursor < one.ring.base || one.sent > one.ring.next {
			t.Errorf("base %d, cursor %d, sent %d, next %d", one.ring.base, one.cursor, one.sent, one.ring.next)
		}
		if one.out.live < one.ring.unacked() || one.ring.records < 0 || one.inbox.cost < 0 {
			t.Errorf("%d outstanding, %d not acknowledged, %d records, inbox %d", one.out.live, one.ring.unacked(), one.ring.records, one.inbox.cost)
		}
		one.unlock()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Close(ctx)
	})
}

// FuzzFrame reads frames and writes them again.
func FuzzFrame(f *testing.F) {
	good := fields{gen: 3, seen: 2, next: 10, room: 4 << 20, base: 7, first: 9}
	f.Add(good.append(nil))
	f.Add([]byte{1, 1, 1, 1, 1, 0})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, rest, err := parseFields(body)
		if err != nil {
			return
		}
		again, none, err := parseFields(got.append(nil))
		if err != nil || len(none) != 0 || again != got {
			t.Fatalf("%+v became %+v, %v", got, again, err)
		}
		e, err := measure(rest, 0)
		if _, left := skip(rest, 1); err == nil && e.count > 0 && len(left) >= len(rest) {
			t.Fatal("skipping one message skipped nothing")
		}
	})
}
