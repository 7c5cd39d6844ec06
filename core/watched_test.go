package core

import (
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// What became of a message that left without a session is said by whom it was for, by the stub that it left by.
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
		var w watched
		var got []hyperty.Outcome
		m := message.Message{ID: message.NumberID(1), Type: message.Update, From: alice, To: ann}
		if err := w.add(&m, func(o hyperty.Outcome) { got = append(got, o) }); err != nil {
			t.Fatal(err)
		}
		if c.leaves {
			w.leaves(w.find(&m), stub)
		}
		answer := m.Respond(message.CodeOK, nil)
		answer.From = c.from
		if w.Answered(c.by, &answer); (len(got) == 1) != c.settled {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
