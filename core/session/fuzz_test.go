package session

import (
	"context"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// FuzzReceive gives a session frames that were opened, so that what is behind the checksum is reached: nothing may
// panic, and nothing that was not acknowledged by a possible number may be freed.
func FuzzReceive(f *testing.F) {
	h := head{data, 2, 1}
	letterBytes := func() []byte {
		m := letter(1, 30)
		wire := m.AppendBinary(nil)
		return append([]byte{byte(len(wire))}, wire...)
	}()
	base := fields{gen: 1, seen: 0, next: 1, room: 1000, base: 1, first: 1}
	f.Add(base.append(appendHead(nil, h)))
	f.Add(append(base.append(appendHead(nil, h)), letterBytes...))
	high := fields{gen: maxNumber, seen: maxNumber, next: maxNumber, room: maxNumber, base: maxNumber, first: maxNumber}
	f.Add(append(high.append(appendHead(nil, head{resume, 2, 1})), letterBytes...))
	f.Add(greeting{1, 2}.append(appendHead(nil, head{hello, 3, 1})))
	f.Add(base.append(appendHead(nil, head{probe, 3, 0})))
	f.Add(append(base.append(appendHead(nil, h)), 0xff, 0xff, 0xff, 0xff, 0x0f, 1))
	f.Fuzz(func(t *testing.T, frame []byte) {
		s := New(Options{
			Self: alice, Incarnation: 1, Linger: time.Nanosecond,
			Send:    func(context.Context, Path, message.URL, ...[]byte) error { return nil },
			Deliver: func(context.Context, message.URL, message.Message) {},
		})
		one, err := s.session(bob)
		if err != nil {
			t.Fatal(err)
		}
		one.mu.Lock()
		one.adopt(2, s.now())
		one.unlock()
		if err := s.Post(t.Context(), bob, relay, letter(1, 30)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s.Receive(t.Context(), bob, relay, append([]byte(nil), frame...)) // as it is: mostly the checksum's
			s.Receive(t.Context(), bob, relay, checksum{}.seal(append([]byte(nil), frame...)))
		}
		one.mu.Lock()
		if one.ring.base > one.sent || one.cursor < one.ring.base || one.sent > one.ring.next {
			t.Errorf("base %d, cursor %d, sent %d, next %d", one.ring.base, one.cursor, one.sent, one.ring.next)
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
		n, left, err := count(rest, 1)
		if err == nil && n > 0 && len(left) >= len(rest) {
			t.Fatal("skipping one message skipped nothing")
		}
	})
}
