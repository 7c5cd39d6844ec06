package core

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/sdk/message"
)

// Each lane keeps its order, one that is stuck holds up no other, and what waits is bounded.
func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		l := lanes{begin: func(f func(context.Context)) { wg.Go(func() { f(ctx) }) }}
		gate := make(chan struct{})
		var got [2][]int
		for n := range 10 {
			for i, key := range []message.URL{"stuck", "free"} {
				if !l.do(key, 1, func(context.Context) {
					if i == 0 {
						<-gate
					}
					got[i] = append(got[i], n)
				}) {
					t.Fatal("no room")
				}
			}
		}
		synctest.Wait()
		want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		if len(got[0]) != 0 || !slices.Equal(got[1], want) {
			t.Errorf("with a lane stuck: %v", got)
		}
		jobs := 0
		for l.do("stuck", 1, func(context.Context) {}) {
			jobs++
		}
		if jobs > maxLane {
			t.Errorf("%d jobs wait in one lane", jobs)
		}
		if l.do("large", maxLanesBytes, func(context.Context) {}) {
			t.Error("a job without bounds")
		}
		if !l.do("free", 1, func(context.Context) { got[1] = append(got[1], 10) }) {
			t.Error("one lane's jobs take another's room")
		}
		close(gate)
		synctest.Wait()
		if !slices.Equal(got[0], want) || len(got[1]) != 11 || len(l.by) != 0 || l.bytes != 0 {
			t.Errorf("%v; left: %d lanes, %d bytes", got, len(l.by), l.bytes)
		}
		l.do("last", 1, func(ctx context.Context) { <-ctx.Done() })
		l.do("last", 1, func(context.Context) { t.Error("it ran after the end") })
		synctest.Wait()
		cancel()
		wg.Wait()
		if l.bytes != 0 {
			t.Errorf("%d bytes left", l.bytes)
		}
	})
}

// A response counts only for what was asked, of whom it was asked, at that node, and once.
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
		const long = 1<<63 + 12345 // which a peer that knows floating-point numbers alone would not give back
		id := a.put(stub, ann, message.Message{ID: message.NumberID(long), Type: message.Read, From: bob, To: ann})
		if !id.Exact() {
			t.Fatalf("the id on the way is %v", id)
		}
		answer := message.Message{ID: id, Type: message.Response, From: ann, To: bob, Body: []byte(`{"code":200}`)}
		if _, ok := a.answers(stub, &answer); !ok || answer.ID != message.NumberID(long) {
			t.Errorf("the answer to %v has the id %v: %v", message.NumberID(long), answer.ID, ok)
		}
	})
}
