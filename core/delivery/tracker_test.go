package delivery

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// The outcome of a message that left without a session comes from the address that it was for, by the stub that it left by.
func TestWhoSaysWhatBecameOfAMessage(t *testing.T) {
	const (
		alice message.URL = "hyperty://a.example/alice"
		ann   message.URL = "hyperty://b.example/ann"
		stub  message.URL = "hyperty-runtime://a.example/r/protostub/b.example"
	)
	for _, c := range []struct {
		what     string
		leaves   bool
		by, from message.URL
		settled  bool
	}{
		{"before it has left", false, stub, ann, false},
		{"of somebody else", true, stub, "hyperty://b.example/eve", false},
		{"of a node's function", true, stub, "domain://msg-node.b.example/sm", false},
		{"by another stub", true, stub + "x", ann, false},
		{"by no stub", true, "", ann, false},
		{"of whom it was for", true, stub, ann, true},
	} {
		var w Tracker
		var got []hyperty.Outcome
		m := message.Message{ID: message.NumberID(1), Type: message.Update, From: alice, To: ann}
		if err := w.Add(&m, func(o hyperty.Outcome) { got = append(got, o) }); err != nil {
			t.Fatal(err)
		}
		if c.leaves {
			w.Find(alice, m.ID).Leaves(stub)
		}
		answer := m.Respond(message.CodeOK, nil)
		answer.From = c.from
		if w.Answered(c.by, &answer); (len(got) == 1) != c.settled {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// The first report of a message's outcome counts, and the sender gets one.
func TestOneOutcome(t *testing.T) {
	const alice, bob, remote message.URL = "hyperty://a.example/alice", "hyperty://b.example/bob", "hyperty-runtime://b.example/r"
	m := message.Message{ID: message.NumberID(1), Type: message.Update, From: alice, To: bob}
	event := func(e session.Event) func(*Tracker) {
		e.Remote, e.Why, e.Messages = remote, "why", []message.Message{m}
		return func(w *Tracker) { w.Session(e) }
	}
	refusal := &message.ResponseError{Code: message.CodeNotFound, From: bob, Description: "nobody"}
	for _, c := range []struct {
		what   string
		report func(*Tracker)
		state  hyperty.DeliveryState
		code   int
	}{
		{"taken here", func(w *Tracker) { w.Receipt(alice, m.ID).Taken() }, hyperty.Delivered, 0},
		{"refused here", func(w *Tracker) { w.Refused(&m, refusal) }, hyperty.Refused, message.CodeNotFound},
		{"refused here without a code", func(w *Tracker) { w.Refused(&m, errors.New("no")) }, hyperty.Refused, message.CodeError},
		{"its listener has gone", func(w *Tracker) { w.Receipt(alice, m.ID).Failed(m, refusal) }, hyperty.Refused, message.CodeNotFound},
		{"its sender has gone", func(w *Tracker) { w.End(alice) }, hyperty.InDoubt, 0},
		{"taken there", event(session.Event{Kind: session.Settled, Code: message.CodeOK}), hyperty.Delivered, 0},
		{"refused there", event(session.Event{Kind: session.Settled, Code: message.CodeForbidden}), hyperty.Refused, message.CodeForbidden},
		{"its receiver there has gone", event(session.Event{Kind: session.Settled, Code: message.CodeUnavailable}), hyperty.InDoubt, message.CodeUnavailable},
		{"expired", event(session.Event{Kind: session.Expired}), hyperty.Expired, 0},
		{"expired on its way", event(session.Event{Kind: session.Expired, MayHaveArrived: true}), hyperty.Expired, 0},
		{"the remote runtime has restarted", event(session.Event{Kind: session.Reset, MayHaveArrived: true}), hyperty.InDoubt, 0},
		{"closed before it was sent", event(session.Event{Kind: session.Closed}), hyperty.Refused, message.CodeUnavailable},
	} {
		var got []hyperty.Outcome
		refused := 0
		w := Tracker{Refuse: func(message.Message, error) { refused++ }}
		if err := w.Add(&m, func(o hyperty.Outcome) { got = append(got, o) }); err != nil {
			t.Fatal(err)
		}
		c.report(&w)
		if len(got) != 1 || got[0].State != c.state || got[0].Code != c.code {
			t.Errorf("%s: %+v", c.what, got)
		}
		w.Refused(&m, refusal)
		w.Settle(alice, m.ID, hyperty.Outcome{State: hyperty.Delivered})
		if w.End(alice); len(got) > 1 || w.Find(alice, m.ID) != nil {
			t.Errorf("%s: more was told later: %+v", c.what, got)
		}
		if gone := c.what == "its listener has gone"; gone != (refused == 1) {
			t.Errorf("%s: the sender was told %d times", c.what, refused)
		}
	}
}

// A message that is tracked already is refused, and one that was dropped has no outcome.
func TestAddTwice(t *testing.T) {
	m := message.Message{ID: message.NumberID(1), From: "hyperty://a.example/alice"}
	var w Tracker
	tell := func(o hyperty.Outcome) { t.Errorf("told: %+v", o) }
	if err := w.Add(&m, tell); err != nil {
		t.Fatal(err)
	}
	var conflict *message.ResponseError
	if err := w.Add(&m, tell); !errors.As(err, &conflict) || conflict.Code != message.CodeConflict {
		t.Errorf("a second one with its id: %v", err)
	}
	w.Drop(m.From, m.ID)
	w.Settle(m.From, m.ID, hyperty.Outcome{State: hyperty.Delivered})
	if err := w.Add(&message.Message{From: m.From}, tell); err == nil {
		t.Error("a message without an id is tracked")
	}
}

// Without an answer the outcome of a message that left without a session is in doubt after AnswerTime.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Tracker
		got := make(chan hyperty.Outcome, 2)
		m := message.Message{ID: message.NumberID(1), From: "hyperty://a.example/alice", To: "hyperty://b.example/ann"}
		if err := w.Add(&m, func(o hyperty.Outcome) { got <- o }); err != nil {
			t.Fatal(err)
		}
		one := w.Find(m.From, m.ID)
		one.Leaves("hyperty-runtime://a.example/r/protostub/b.example")
		one.Left()
		time.Sleep(AnswerTime - time.Millisecond)
		if synctest.Wait(); len(got) > 0 {
			t.Fatalf("too early: %+v", <-got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := len(got); n != 1 {
			t.Fatalf("told %d times", n)
		}
		if o := <-got; o.State != hyperty.InDoubt {
			t.Errorf("told: %+v", o)
		}
		var nobody *Message
		nobody.Leaves("x")
		nobody.Left()
	})
}

// The wait for an answer ends with its message: it does not put a later message with the same ID in doubt.
func TestTheWaitEndsWithItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Tracker
		m := message.Message{ID: message.NumberID(1), From: "hyperty://a.example/alice", To: "hyperty://b.example/ann"}
		told := make(chan hyperty.Outcome, 2)
		tell := func(o hyperty.Outcome) { told <- o }
		if err := w.Add(&m, tell); err != nil {
			t.Fatal(err)
		}
		w.Find(m.From, m.ID).Left()
		w.Settle(m.From, m.ID, hyperty.Outcome{State: hyperty.Delivered})
		if o := <-told; o.State != hyperty.Delivered {
			t.Errorf("told: %+v", o)
		}
		if err := w.Add(&m, tell); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * AnswerTime)
		if synctest.Wait(); len(told) > 0 {
			t.Errorf("the next one: %+v", <-told)
		}
	})
}

// What a session says of several messages is told to each sender that wants to know, and is nothing to the others.
func TestAnEventOfSeveralMessages(t *testing.T) {
	var w Tracker
	told := map[message.ID]hyperty.Outcome{}
	var list []message.Message
	for i := range uint64(3) {
		m := message.Message{ID: message.NumberID(i + 1), From: "hyperty://a.example/alice", To: "hyperty://b.example/bob"}
		list = append(list, m)
		if i == 1 {
			continue
		}
		if err := w.Add(&m, func(o hyperty.Outcome) { told[m.ID] = o }); err != nil {
			t.Fatal(err)
		}
	}
	w.Session(session.Event{Kind: session.Expired, Why: "late", Messages: list})
	if len(told) != 2 || told[list[0].ID].Reason != "late" || told[list[2].ID].State != hyperty.Expired {
		t.Errorf("told: %+v", told)
	}
	if n := w.count.Load(); n != 0 {
		t.Errorf("%d are counted when none is tracked", n)
	}
}

// The outcome of a settled message is what its code says; the first that is no success is a refusal.
func TestOutcomeOfCode(t *testing.T) {
	for code, want := range map[int]hyperty.DeliveryState{200: hyperty.Delivered, 299: hyperty.Delivered, 300: hyperty.Refused, 403: hyperty.Refused,
		404: hyperty.Refused, 500: hyperty.Refused, message.CodeUnavailable: hyperty.InDoubt} {
		if o := outcomeOfCode(code); o.State != want || want == hyperty.Delivered && o.Code != 0 || want != hyperty.Delivered && (o.Code != code || o.Reason == "") {
			t.Errorf("%d: %+v", code, o)
		}
	}
}
