package plainpeers

import (
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/sdk/message"
)

// A response counts only for a message that was sent, from the address that was asked, by that node, and once.
func TestAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bob, ann, eve, stub message.URL = "hyperty://a.example/bob", "hyperty://a.example/ann", "hyperty://a.example/eve", "hyperty-runtime://a.example/r/protostub/a.example"
		var a asked
		ask := func(n uint64) {
			a.put(stub, ann, message.Message{ID: message.NumberID(n), Type: message.Read, From: bob, To: ann})
		}
		response := func(n uint64, from message.URL, code string) message.Message {
			return message.Message{ID: message.NumberID(n), Type: message.Response, From: from, To: bob, Body: []byte(`{"code":` + code + `}`)}
		}
		ask(1)
		for _, c := range []struct {
			what string
			at   message.URL
			m    message.Message
			want bool
		}{
			{"of somebody else", stub, response(1, eve, "200"), false},
			{"of what was not asked", stub, response(2, ann, "200"), false},
			{"at another node", stub.Join("x"), response(1, ann, "200"), false},
			{"provisional", stub, response(1, ann, "100"), true},
			{"final", stub, response(1, ann, "200"), true},
			{"final again", stub, response(1, ann, "200"), false},
		} {
			if _, got := a.answers(c.at, &c.m); got != c.want {
				t.Errorf("%s: %v", c.what, got)
			}
		}
		for n := range uint64(2 * maxAsked) {
			ask(n + 10)
		}
		if len(a.by) > maxAsked || len(a.order) > maxAsked {
			t.Errorf("%d questions remembered, %d in order", len(a.by), len(a.order))
		}
		early, late := response(10, ann, "200"), response(2*maxAsked+9, ann, "200")
		_, first := a.answers(stub, &early)
		if _, last := a.answers(stub, &late); first || !last {
			t.Error("not the last ones are remembered")
		}
		const long = 1<<63 + 12345 // a peer that reads floating-point numbers would not give it back exactly
		id := a.put(stub, ann, message.Message{ID: message.NumberID(long), Type: message.Read, From: bob, To: ann})
		if !exact(id) {
			t.Fatalf("the id on the way is %v", id)
		}
		answer := message.Message{ID: id, Type: message.Response, From: ann, To: bob, Body: []byte(`{"code":200}`)}
		if _, ok := a.answers(stub, &answer); !ok || answer.ID != message.NumberID(long) {
			t.Errorf("the answer to %v has the id %v: %v", message.NumberID(long), answer.ID, ok)
		}
	})
}
