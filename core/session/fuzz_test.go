package session

import (
	"context"
	"testing"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// FuzzReceive gives a session frames that were opened, so that what is behind the seal is reached: nothing may
// panic, and nothing that was not acknowledged by a possible number may be freed.
func FuzzReceive(f *testing.F) {
	letterBytes := items(letter(1, 30), letter(1, 30))
	base := wire.Fields{Gen: 1, Seen: 0, Next: 1, Room: 1000, Base: 1, First: 1}
	whole := func(f wire.Fields, messages []byte) []byte { return append(f.Append(nil), messages...) }
	f.Add(byte(wire.Data), false, whole(base, nil))
	f.Add(byte(wire.Data), false, whole(base, letterBytes))
	high := wire.Fields{Gen: wire.MaxNumber, Seen: wire.MaxNumber, Next: wire.MaxNumber, Room: wire.MaxNumber, Base: wire.MaxNumber, First: wire.MaxNumber}
	f.Add(byte(wire.Resume), false, whole(high, letterBytes))
	f.Add(byte(wire.Hello), true, []byte{handshake.StepAsk})
	f.Add(byte(wire.Hello), false, append([]byte{handshake.StepSecond}, make([]byte, handshake.SecondSize)...))
	f.Add(byte(wire.Probe), true, whole(base, nil))
	f.Add(byte(wire.Data), false, whole(base, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1}))
	taken := []byte{0, wire.RecordTaken, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0xc8, 1, 1, 1}
	f.Add(byte(wire.Data), false, whole(base, taken))
	acknowledges := base
	acknowledges.Next = 2
	f.Add(byte(wire.Data), false, whole(acknowledges, append(append(taken, letterBytes...), 0, 9, 1, 1)))
	f.Fuzz(func(t *testing.T, k byte, stranger bool, body []byte) {
		s := New(Options{
			Self: alice, Key: aliceSelf.key, Incarnation: 1, Linger: time.Nanosecond,
			Send:     func(context.Context, Path, message.URL, ...[]byte) error { return nil },
			Acceptor: taking(func(context.Context, message.URL, message.Message) {}),
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
			h := wire.Head{Kind: wire.Kind(k), From: 2, To: 1}
			if stranger {
				h.From = 3
			}
			s.Receive(t.Context(), bob, relay, append([]byte(nil), body...))             // nonsense
			s.Receive(t.Context(), bob, relay, append(wire.AppendHead(nil, h), body...)) // not sealed
			aead := peer.Out.Stamp(&h, s.o.keyLimits(), len(body))
			if h.Kind != wire.Hello {
				s.Receive(t.Context(), bob, relay, handshake.Seal(aead, append(wire.AppendHead(nil, h), body...)))
			}
		}
		one.lock()
		if err := one.m.send.Check(); err != nil || one.m.recv.Cost() < 0 {
			t.Errorf("%v, inbox %d", err, one.m.recv.Cost())
		}
		one.unlock()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Close(ctx)
	})
}

// FuzzFrame reads frames and writes them again.
func FuzzFrame(f *testing.F) {
	good := wire.Fields{Gen: 3, Seen: 2, Next: 10, Room: 4 << 20, Base: 7, First: 9}
	f.Add(good.Append(nil))
	f.Add([]byte{1, 1, 1, 1, 1, 0})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, rest, err := wire.ParseFields(body)
		if err != nil {
			return
		}
		again, none, err := wire.ParseFields(got.Append(nil))
		if err != nil || len(none) != 0 || again != got {
			t.Fatalf("%+v became %+v, %v", got, again, err)
		}
		e, err := wire.Measure(rest, 0)
		if _, left := wire.Skip(rest, 1); err == nil && e.Count > 0 && len(left) >= len(rest) {
			t.Fatal("skipping one message skipped nothing")
		}
	})
}
