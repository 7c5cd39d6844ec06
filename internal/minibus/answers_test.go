package minibus_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		asked, from message.URL
		want        bool
	}{
		{alice, alice, true},
		{alice, alice + "/", true},
		{"runtime://example.com/r", "hyperty-runtime://example.com/r", true},
		{"runtime://example.com/r/sm", "hyperty-runtime://example.com/r/sm/", true},
		{alice, bob, false},
		{alice, "", false},
		{"", alice, false},
		{"", "", false},
		{alice, alice + "/part", false},
		{alice + "/part", alice, false},
		{"runtime://example.com/r/registry", "runtime://example.com/r", false},
		{"runtime://example.com/r/registry", "runtime://example.com/r/sm", false},
		{"runtime://example.com/r", "runtime://example.com/r/subscription", false},

		{"comm://example.com/room", "comm://example.com/room/subscription", true},
		{"comm://example.com/room/subscription", "comm://example.com/room", true},
		{"connection://example.com/c1/subscription", "connection://example.com/c1", true},
		{"comm://example.com/room", "comm://example.com/room/changes", false},
		{"comm://example.com/room", "comm://example.com/room2/subscription", false},
		{"comm://example.com/room/children/x", "comm://example.com/room/subscription", false},
		{"comm://example.com/room/x", "comm://example.com/room/x/subscription", false},
		{"comm://example.com", "comm://example.com/subscription", false},
		{alice, alice + "/subscription", false},
		{"user://example.com/ann", "user://example.com/ann/subscription", false},

		{"domain://registry.example.com", "domain://registry.example.com", true},
		{"domain://registry.example.com", "domain://msg-node.example.com", true},
		{"domain://registry.example.com", "domain://msg-node.example.com/sm", true},
		{"domain://msg-node.example.com/address-allocation", "domain://msg-node.example.com/hyperty-address-allocation", true},
		{"domain://registry.example.com", "domain://registry.evil.example", false},
		{"domain://registry.example.com", "domain://registry.registry.example.com", false},
		{"domain://registry.example.com", "domain://example.com.evil.example/registry", false},
		{"domain://registry.example.com", "hyperty://example.com/registry", false},
		{"domain://registry.example.com", "hyperty-runtime://registry.example.com/x", false},
		{"hyperty://example.com/bob", "domain://msg-node.example.com/sm", false},
		{"domain://registry.example.com", "global://registry/x", false},
		{"global://registry/x", "global://registry/x", true},
		{"global://registry/x", "global://registry/y", false},
		{"global://registry/x", "domain://registry.example.com", false},
	} {
		if got := minibus.Answers(c.asked, c.from); got != c.want {
			t.Errorf("%s asked, %s answers: %v", c.asked, c.from, got)
		}
	}
}

// FuzzAnswers: the rule does not depend on how an address is written, it is the same in both directions, and no address
// answers for one of another domain or of another scheme.
func FuzzAnswers(f *testing.F) {
	f.Add("comm://example.com/room", "comm://example.com/room/subscription")
	f.Add("domain://registry.example.com", "domain://msg-node.example.com/sm")
	f.Add("runtime://example.com/r/sm", "hyperty-runtime://example.com/r/sm/")
	f.Add("global://x", "domain://x")
	f.Fuzz(func(t *testing.T, first, second string) {
		a, errA := message.ParseURL(first)
		b, errB := message.ParseURL(second)
		got := minibus.Answers(message.URL(first), message.URL(second)) // whatever they are
		if errA != nil || errB != nil {
			return
		}
		switch {
		case got != minibus.Answers(b, a):
			t.Errorf("%s and %s: one answers for the other alone", a, b)
		case !minibus.Answers(a, a) || !minibus.Answers(a, a.Canonical()):
			t.Errorf("%s does not answer for itself", a)
		case got != minibus.Answers(a.Canonical(), b.Canonical()):
			t.Errorf("%s and %s: it depends on the spelling", a, b)
		case got && (a.Canonical().Scheme() != b.Canonical().Scheme() && !(a.IsBackEnd() && b.IsBackEnd()) || a.NodeDomain() != b.NodeDomain()):
			t.Errorf("%s answers for %s", b, a)
		case got && !a.IsBackEnd() && a.Base().Canonical() != b.Base().Canonical():
			t.Errorf("%s answers for %s", b, a)
		}
	})
}

// A response from another address than the one that was asked answers no request: neither a final one, nor a provisional one,
// which would make the request wait for ever.
func TestNobodyElseAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		b := minibus.New(minibus.Options{Out: o.out})
		defer b.Close()
		var stray []message.Message
		b.Listen(alice, func(_ context.Context, m message.Message) { stray = append(stray, m) })
		done, progress := make(chan message.Message, 1), 0
		go func() {
			m, _ := b.RequestProgress(t.Context(), message.Message{Type: message.Read, From: alice, To: bob}, func(message.Message) { progress++ })
			done <- m
		}()
		synctest.Wait()
		request := o.last()
		forged := request.Respond(message.CodeOK, "eve's")
		forged.From = "hyperty://example.com/eve"
		later := request.Respond(message.CodeAccepted, nil)
		later.From = forged.From
		b.Deliver(t.Context(), forged)
		for range 10 {
			time.Sleep(minibus.DefaultTimeout / 20)
			b.Deliver(t.Context(), later)
			if b.TryHand(later, minibus.Receipt{}); b.TryHandRun([]minibus.Delivery{{Message: later}}) != 1 {
				t.Error("it is not even a message to the address")
			}
		}
		synctest.Wait()
		if len(done) > 0 || progress != 0 || len(stray) != 31 {
			t.Fatalf("%d answers, %d provisional ones, %d responses that belong to nothing", len(done), progress, len(stray))
		}
		b.Deliver(t.Context(), request.Respond(message.CodeOK, "bob's"))
		m := <-done
		if r, err := m.Result(); err != nil || string(r.Value) != `"bob's"` || r.From != bob {
			t.Errorf("the answer is %+v, %v", r, err)
		}
	})
}

// A process that has seen some requests cannot predict the ID of another one.
func TestRequestsHaveRandomIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		b, other := minibus.New(minibus.Options{Out: o.out}), minibus.New(minibus.Options{Out: o.out})
		seen := map[string]bool{}
		ones := make([]int, 64)
		for i := range 512 {
			by := b
			if i%2 == 1 {
				by = other
			}
			go func() { _, _ = by.Request(t.Context(), message.Message{Type: message.Read, From: alice, To: bob}) }()
			synctest.Wait()
			id := o.last().ID.String()
			if seen[id] {
				t.Fatal("the same ID again")
			}
			seen[id] = true
			var n uint64
			for _, c := range id {
				n = n*10 + uint64(c-'0')
			}
			for bit := range ones {
				ones[bit] += int(n >> bit & 1)
			}
		}
		for bit, n := range ones {
			if n < 128 || n > 384 {
				t.Errorf("bit %d of 512 IDs was set %d times", bit, n)
			}
		}
		b.Close()
		other.Close()
	})
}
