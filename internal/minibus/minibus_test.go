package minibus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice message.URL = "hyperty://example.com/alice"
	bob   message.URL = "hyperty://example.com/bob"
)

// outbox keeps what a bus posts to the outside.
type outbox struct {
	mu   sync.Mutex
	sent []message.Message
}

func (o *outbox) out(_ context.Context, m message.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, m)
	return nil
}

func (o *outbox) last() message.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent[len(o.sent)-1]
}

func TestPostGoesOutAndNeverToOwnListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		b := minibus.New(minibus.Options{Out: o.out})
		defer b.Close()
		b.Listen(bob, func(context.Context, message.Message) { t.Error("a posted message came back") })
		for range 2 {
			if err := b.Post(t.Context(), message.Message{Type: message.Create, From: alice, To: bob}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if o.sent[0].ID != message.NumberID(1) || o.sent[1].ID != message.NumberID(2) {
			t.Errorf("ids %v and %v, want 1 and 2", o.sent[0].ID, o.sent[1].ID)
		}
		if err := b.Post(t.Context(), message.Message{Type: message.Create, From: alice}); !errors.Is(err, message.ErrMalformed) {
			t.Errorf("a message without an address: %v", err)
		}
	})
}

func TestDeliverOrderAndDefaultListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minibus.New(minibus.Options{})
		defer b.Close()
		var got, rest []string
		b.Listen("runtime://example.com/r", func(_ context.Context, m message.Message) { got = append(got, m.ID.String()) })
		stop := b.Listen(bob, func(_ context.Context, m message.Message) { got = append(got, "bob"+m.ID.String()) })
		b.Listen(message.Default, func(_ context.Context, m message.Message) { rest = append(rest, m.ID.String()) })
		post := func(to message.URL, id uint64) bool {
			return b.Deliver(t.Context(), message.Message{ID: message.NumberID(id), Type: message.Update, From: alice, To: to})
		}
		post("hyperty-runtime://example.com/r/", 1) // another spelling of the same address
		post("runtime://example.com/r", 2)
		synctest.Wait()
		post(bob, 3)
		synctest.Wait()
		stop()
		post(bob, 4)
		synctest.Wait()
		if want := []string{"1", "2", "bob3"}; !slices.Equal(got, want) {
			t.Errorf("listeners got %v, want %v", got, want)
		}
		if want := []string{"4"}; !slices.Equal(rest, want) {
			t.Errorf("the default listener got %v, want %v", rest, want)
		}
	})
}

func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		b := minibus.New(minibus.Options{Out: o.out})
		defer b.Close()
		type result struct {
			m   message.Message
			err error
		}
		var progress []message.Message
		ask := func() chan result {
			done := make(chan result, 1)
			go func() {
				m, err := b.RequestProgress(t.Context(), message.Message{Type: message.Read, From: alice, To: bob},
					func(m message.Message) { progress = append(progress, m) })
				done <- result{m, err}
			}()
			synctest.Wait()
			return done
		}
		done := ask()
		request := o.last()
		time.Sleep(10 * time.Second) // fake time
		b.Deliver(t.Context(), request.Respond(message.CodeAccepted, nil))
		time.Sleep(14 * time.Second) // past the first 15 s: the provisional response started them again
		answer := request.Respond(message.CodeOK, "yes")
		answer.ID, _ = message.ParseID([]byte(fmt.Sprintf("%q", request.ID))) // echoed as a string
		if !b.Deliver(t.Context(), answer) {
			t.Fatal("the response was not taken")
		}
		if r := <-done; r.err != nil || len(progress) != 1 {
			t.Fatalf("%v, %d provisional responses", r.err, len(progress))
		} else if v, err := r.m.OK(); err != nil || string(v) != `"yes"` {
			t.Fatalf("value %s, %v", v, err)
		}
		if b.Deliver(t.Context(), answer) {
			t.Error("a second response was taken")
		}

		started := time.Now()
		r := <-ask()
		if res, err := r.m.Result(); err != nil || res.Code != message.CodeTimeout {
			t.Errorf("unanswered: %+v, %v", res, err)
		}
		if took := time.Since(started); took != minibus.DefaultTimeout {
			t.Errorf("timed out after %v", took)
		}
	})
}

func TestBackpressureOfOneListenerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minibus.New(minibus.Options{Inbox: 4})
		release := make(chan struct{})
		slow, quick := 0, 0
		b.Listen(bob, func(context.Context, message.Message) { <-release; slow++ })
		b.Listen(alice, func(context.Context, message.Message) { quick++ })
		full, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		taken := 0
		for b.Deliver(full, message.Message{Type: message.Update, From: alice, To: bob}) {
			if taken++; taken > 100 {
				t.Fatal("the inbox has no bound")
			}
		}
		for range 100 {
			b.Deliver(t.Context(), message.Message{Type: message.Update, From: bob, To: alice})
		}
		synctest.Wait()
		if quick != 100 {
			t.Errorf("the other listener got %d of 100", quick)
		}
		close(release)
		synctest.Wait()
		if slow != taken {
			t.Errorf("%d taken, %d handled", taken, slow)
		}
		b.Close()
		if b.Deliver(t.Context(), message.Message{Type: message.Update, From: bob, To: alice}) {
			t.Error("delivered after Close")
		}
		if _, err := b.Request(t.Context(), message.Message{Type: message.Read, From: alice, To: bob}); !errors.Is(err, minibus.ErrClosed) {
			t.Errorf("request after Close: %v", err)
		}
	})
}

func TestResponsesDoNotWaitBehindMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(2)
		answered := make(chan struct{})
		handled := 0
		l.ListenApart(alice, func(_ context.Context, m message.Message, _ minibus.Receipt) {
			if m.Type == message.Response {
				close(answered)
				return
			}
			<-answered // the handler waits for an answer of its own
			handled++
		})
		for range 3 { // one is being handled, two fill the inbox
			if _, err := l.Deliver(t.Context(), alice, message.Message{Type: message.Update, From: bob, To: alice}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if _, err := l.Deliver(t.Context(), alice, message.Message{Type: message.Response, From: bob, To: alice}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if handled != 3 {
			t.Errorf("%d of 3 messages handled", handled)
		}
		l.Close()
	})
}

func BenchmarkDeliver(b *testing.B) {
	bus := minibus.New(minibus.Options{})
	defer bus.Close()
	bus.Listen(bob, func(context.Context, message.Message) {})
	m := message.Message{ID: message.NumberID(1), Type: message.Update, From: alice, To: bob, Body: []byte(`{"value":1}`)}
	b.ReportAllocs()
	for b.Loop() {
		bus.Deliver(context.Background(), m)
	}
}

// Responses to addresses below its owner's come to the owner, where nobody listens to just these; messages do not.
func TestResponsesToAddressesBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minibus.New(minibus.Options{})
		defer b.Close()
		b.Own(alice)
		var got []message.URL
		b.Listen(alice, func(_ context.Context, m message.Message) { got = append(got, m.To) })
		stop := b.Listen(alice+"/taken", func(context.Context, message.Message) {})
		for to, nobody := range map[message.URL]bool{alice + "/desk": true, alice + "/taken": false, alice: false, bob: false} {
			if b.Nobody(to) != nobody {
				t.Errorf("%s: nobody listens: %v", to, !nobody)
			}
		}
		for _, one := range []struct {
			to   message.URL
			kind message.Type
			want bool
		}{{alice + "/desk", message.Response, true}, {alice + "/desk", message.Update, false}, {bob, message.Response, false}, {alice + "/taken", message.Response, false}} {
			got = nil
			b.Deliver(t.Context(), message.Message{ID: message.NumberID(1), Type: one.kind, From: bob, To: one.to})
			synctest.Wait()
			if (len(got) == 1) != one.want {
				t.Errorf("%v to %s: the owner got %v", one.kind, one.to, got)
			}
		}
		stop()
		b.Listen(message.Default, func(context.Context, message.Message) {})
		if b.Nobody(alice + "/desk") {
			t.Error("the default listener is nobody")
		}
	})
}
