package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// TestSettled: of messages that somebody watches it is told that they were taken, or with which code they were refused;
// of others nothing is told.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codes := map[uint64]int{3: 404, 5: 403, 6: 404}
		var refused []uint64
		p := newPair(t, Options{
			Acceptor: each(func(_ context.Context, d *came) bool {
				n := number(d.Message)
				switch code := codes[n]; {
				case n == 6:
					d.Receipt.Failed(d.Message, &message.ResponseError{Code: code})
				case code != 0:
					d.Receipt.Refused(code)
				default:
					d.Receipt.Taken()
				}
				return true
			}),
			Refuse: func(remote message.URL, m message.Message, _ error) { refused = append(refused, number(m)) },
		}, nil)
		for n := uint64(1); n <= 8; n++ {
			post := p.a.PostTracked
			if n > 6 {
				post = p.a.Post
			}
			if err := post(t.Context(), bob, relay, letter(n, 40)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		got := map[uint64]int{}
		for _, e := range p.events(Settled) {
			for i, id := range e.IDs {
				n := number(message.Message{ID: id})
				if got[n] != 0 || e.Messages[i].ID != id || e.Messages[i].To != letter(n, 1).To || e.Messages[i].From != letter(n, 1).From {
					t.Errorf("%+v", e)
				}
				got[n] = e.Code
			}
		}
		if want := map[uint64]int{1: 200, 2: 200, 3: 404, 4: 200, 5: 403, 6: 404}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("told %v, want %v", got, want)
		}
		if fmt.Sprint(refused) != "[6]" {
			t.Errorf("refusals were asked for of %v", refused)
		}
		if st := p.a.Snapshot()[0]; st.Outstanding != 0 || st.Unacked != 0 {
			t.Errorf("state %+v", st)
		}
		p.close(t)
	})
}

// TestInDoubtAfterAcknowledgement: what the last life of the receiver had acknowledged, and no application had taken, is
// in doubt; what was taken is not.
func TestInDoubtAfterAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folk := newSlowFolk(2)
		p := newPair(t, Options{Acceptor: each(folk.deliver)}, nil)
		for n := uint64(1); n <= 10; n++ {
			m := letter(n, 40)
			if m.To = citizen("fast", 0); n%2 == 0 {
				m.To = citizen("slow", 0)
			}
			if err := p.a.Post(t.Context(), bob, relay, m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if st := p.a.Snapshot()[0]; st.Unacked != 0 || st.Outstanding != 5 {
			t.Errorf("state %+v", st)
		}
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		p.restart(&p.b, dead)
		if err := p.b.Post(t.Context(), alice, relay, letter(1, 20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		e := p.events(Reset)
		if len(e) != 1 || fmt.Sprint(e[0].IDs) != "[2 4 6 8 10]" || !e[0].MayHaveArrived || len(e[0].Messages) != 5 {
			t.Errorf("events %+v", e)
		}
		folk.release() // what the last life held: nothing comes of it
		time.Sleep(time.Second)
		if st := p.a.Snapshot()[0]; st.Outstanding != 0 || st.Dropped != 0 {
			t.Errorf("state %+v", st)
		}
		p.close(t)
	})
}

// TestSendersNewLife: the receiver forgets what it owed the sender's last life word of.
func TestSendersNewLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folk := newSlowFolk(2)
		p := newPair(t, Options{Acceptor: each(folk.deliver)}, nil)
		for n := uint64(1); n <= 10; n++ {
			m := letter(n, 40)
			m.To = citizen("slow", 0)
			if err := p.a.Post(t.Context(), bob, relay, m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		p.restart(&p.a, dead)
		if e := p.events(Closed); len(e) != 1 || len(e[0].IDs) != 10 || !e[0].MayHaveArrived {
			t.Errorf("events %+v", e)
		}
		for n := uint64(1); n <= 10; n++ { // the same numbers again
			m := letter(n, 40)
			m.To = citizen("slow", 1)
			if err := p.a.PostTracked(t.Context(), bob, relay, m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		folk.mu.Lock()
		for _, r := range folk.stuck[citizen("slow", 0)] {
			r.Taken() // of the last life's
		}
		delete(folk.stuck, citizen("slow", 0))
		folk.mu.Unlock()
		time.Sleep(time.Second)
		if e := p.events(Settled); len(e) != 0 {
			t.Errorf("taken, says the word of another life's messages: %+v", e)
		}
		folk.release()
		time.Sleep(time.Second)
		if e := p.events(Settled); len(e) == 0 || p.a.Snapshot()[0].Outstanding != 0 || p.b.Snapshot()[0].InboxBytes != 0 {
			t.Errorf("%+v, %+v, %+v", e, p.a.Snapshot(), p.b.Snapshot())
		}
		p.close(t)
	})
}

// TestReportsSurviveLoss: word of what was taken comes in the end, also when nothing got through for longer than the
// time to live; meanwhile a peer that is away is not asked for ever.
func TestReportsSurviveLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf, frames := false, 0
		p := newPair(t, Options{TTL: 5 * time.Second}, nil)
		p.hook = func(fromA bool, _ Path, f []byte) [][]byte {
			if !fromA {
				frames++
			}
			if deaf && !fromA {
				return nil
			}
			return [][]byte{f}
		}
		p.post(t, relay, 1, 1)
		time.Sleep(time.Second)
		p.sync(func() { deaf = true })
		for n := uint64(2); n <= 20; n++ {
			if err := p.a.PostTracked(t.Context(), bob, relay, letter(n, 40)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(3 * time.Second) // acknowledged is nothing, given up nothing either
		p.sync(func() { deaf = false })
		time.Sleep(3 * time.Second)
		p.sync(func() { deaf = true })
		time.Sleep(time.Minute)
		p.sync(func() { frames = 0 })
		time.Sleep(time.Minute)
		p.sync(func() {
			if frames > 0 {
				t.Errorf("%d frames in a minute in which there is nothing to say", frames)
			}
			deaf = false
		})
		told := 0
		for _, e := range p.events(Settled) {
			told += len(e.IDs)
		}
		if told != 19 || p.a.Snapshot()[0].Outstanding != 0 {
			t.Errorf("%d of 19 are said to be taken; %+v", told, p.a.Snapshot())
		}

		// Now the other side does not even acknowledge the reports.
		p.sync(func() { frames = 0 })
		one := p.end(false)
		one.lock()
		again, _ := wire.AppendReport(nil, one.m.pair.Peer(), message.CodeOK, []wire.Span{{A: 5, B: 7}})
		one.m.ledger.GiveBack([][]byte{again}, one.m.pair.Peer()) // once more: it does no harm
		one.m.tell.Hurry()
		one.m.poke()
		one.unlock()
		p.sync(func() { deaf = true })
		time.Sleep(time.Minute)
		p.sync(func() { frames = 0 })
		time.Sleep(time.Minute)
		p.sync(func() {
			if frames > 0 {
				t.Errorf("%d frames in a minute for a peer that does not answer", frames)
			}
			deaf = false
		})
		p.post(t, relay, 21, 21)
		time.Sleep(time.Second)
		if st := p.b.Snapshot()[0]; st.Unacked != 0 || st.RingBytes != 0 {
			t.Errorf("the report was not made again: %+v", st)
		}
		wantRun(t, p.delivered(), 1, 21)
		p.close(t)
	})
}

// TestSilentPeer: word of what was taken that was given up is asked for, also when this side has nothing else to say; a
// peer that never answers has its messages in doubt in the end.
func TestSilentPeer(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			folk := newSlowFolk(100)
			deaf, frames := false, 0
			p := newPair(t, Options{TTL: 3 * time.Second, Acceptor: each(folk.deliver)}, nil)
			p.hook = func(fromA bool, _ Path, f []byte) [][]byte {
				frames++
				if deaf {
					return nil
				}
				return [][]byte{f}
			}
			for n := uint64(1); n <= 10; n++ {
				m := letter(n, 40)
				m.To = citizen("slow", 0)
				if err := p.a.PostTracked(t.Context(), bob, relay, m); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
			p.sync(func() { frames = 0 })
			time.Sleep(10 * time.Minute) // an application that takes nothing costs little
			p.sync(func() {
				if frames > 100 || p.a.Snapshot()[0].Outstanding != 10 {
					t.Errorf("%d frames in 10 minutes, %+v", frames, p.a.Snapshot())
				}
				deaf = true
			})
			folk.release()
			time.Sleep(10 * time.Second) // longer than the word lives, shorter than two questions take
			if gone {
				time.Sleep(2 * time.Minute)
				if e := p.events(Expired); len(e) != 1 || len(e[0].IDs) != 10 || !e[0].MayHaveArrived {
					t.Errorf("events %+v", e)
				}
			}
			p.sync(func() { deaf = false })
			time.Sleep(40 * time.Second)
			told := 0
			for _, e := range p.events(Settled) {
				told += len(e.IDs)
			}
			left := 0
			for _, st := range p.a.Snapshot() { // there is none where the peer has gone
				left += st.Outstanding
			}
			if !gone && told != 10 || left != 0 {
				t.Errorf("%d of 10 are said to be taken, %+v", told, p.a.Snapshot())
			}
			p.close(t)
		})
	}
}

// TestImpossibleReports: word of messages that were never acknowledged, or from another life, changes nothing and is
// counted.
func TestImpossibleReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folk := newSlowFolk(100)
		p := newPair(t, Options{Acceptor: each(folk.deliver)}, nil)
		for n := uint64(1); n <= 10; n++ {
			m := letter(n, 40)
			m.To = citizen("slow", 0)
			if err := p.a.PostTracked(t.Context(), bob, relay, m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		one := p.end(true)
		record := func(incarnation uint64, code int, spans ...uint64) []byte {
			body := binary.BigEndian.AppendUint64(nil, incarnation)
			body = binary.AppendUvarint(body, uint64(code))
			for _, n := range spans {
				body = binary.AppendUvarint(body, n)
			}
			return append(binary.AppendUvarint([]byte{wire.RecordTaken}, uint64(len(body))), body...)
		}
		mine := p.a.Incarnation()
		for name, r := range map[string][]byte{
			"not sent":      record(mine, 200, 11, 1),
			"too many":      record(mine, 200, 11, wire.MaxNumber),
			"overflow":      record(mine, 200, wire.MaxNumber, wire.MaxNumber),
			"number 0":      record(mine, 200, 0, 1),
			"nothing":       record(mine, 200, 3, 0),
			"cut off":       record(mine, 200, 3),
			"another life":  record(mine+1, 200, 1, 10),
			"no code":       record(mine, 0, 1, 10),
			"another code":  record(mine, 1000, 1, 10),
			"no body":       {wire.RecordTaken, 0},
			"a short body":  {wire.RecordTaken, 9, 1, 2, 3},
			"beyond in two": record(mine, 200, 12, 1, 1, 1),
		} {
			one.lock()
			dropped := one.m.count.dropped
			one.m.reported(r, one.all.now())
			if one.m.send.Outstanding() != 10 || one.m.count.dropped != dropped+1 {
				t.Errorf("%s: %d of 10 outstanding, %d counted", name, one.m.send.Outstanding(), one.m.count.dropped-dropped)
			}
			one.unlock()
		}
		one.lock()
		one.m.reported([]byte{77, 3, 1, 2, 3}, one.all.now()) // of a kind that we do not know
		if one.m.send.Outstanding() != 10 {
			t.Error("an unknown record did something")
		}
		one.m.reported(record(mine, 200, 2, 3, 1, 1), one.all.now()) // 2, 3, 4 and 6
		one.m.reported(record(mine, 404, 2, 3, 1, 1), one.all.now()) // again: they are told once
		if one.m.send.Outstanding() != 6 {
			t.Errorf("%d outstanding, want 6", one.m.send.Outstanding())
		}
		one.unlock()
		if e := p.events(Settled); len(e) != 1 || fmt.Sprint(e[0].IDs) != "[2 3 4 6]" || e[0].Code != 200 {
			t.Errorf("events %+v", e)
		}
		folk.release()
		time.Sleep(time.Second)
		if st := p.a.Snapshot()[0]; st.Outstanding != 0 {
			t.Errorf("state %+v", st)
		}
		p.close(t)
	})
}
