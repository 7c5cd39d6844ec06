package p2p

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// TestOldEndsWhileNewIsAnnounced: the registry is still thinking about a newer invitation when the older connection
// dies. Nothing is said of the older one: its end would be taken for the newer one's.
func TestOldEndsWhileNewIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		b.mu.Lock()
		b.consent = func(message.URL) int { return 0 }
		b.mu.Unlock()
		old := b.tb.last()
		first := b.a
		b.a = b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q2"))
		time.Sleep(time.Second)
		old.kill()
		time.Sleep(5 * time.Second)
		b.wantStatuses(bobHandler, "created, in-progress, live, created, in-progress, live")
		b.wantStatuses(b.a.url, "created, in-progress, live")
		first.stop()
		b.stopAll()
	})
}

// TestOldEndsAndNewIsRefused: then the end of the older one is reported after all.
func TestOldEndsAndNewIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		var created message.Message
		b.mu.Lock()
		b.hold = func(m message.Message) bool {
			if strings.Contains(string(m.Body), `"created"`) && m.From == bobHandler {
				created = m
				return true
			}
			return false
		}
		b.mu.Unlock()
		old, first := b.tb.last(), b.a
		b.a = b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q2"))
		time.Sleep(time.Second)
		old.kill()
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live")
		_ = b.route(t.Context(), created.Refuse(409, "no"))
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live, disconnected: no sign of life")
		first.stop()
		b.stopAll()
	})
}

// TestTwoInvitationsAtOnce: the newer one counts.
func TestTwoInvitationsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.consent = func(message.URL) int { return 0 } })
		b.request()
		first := b.a
		time.Sleep(time.Second)
		b.a = b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q2"))
		time.Sleep(5 * time.Second)
		b.wantStatuses(bobHandler, "created, created, in-progress, live")
		b.wantStatuses(b.a.url, "created, in-progress, live")
		b.wantStatuses(first.url, "created, in-progress") // refused with 409: it waits to be ended
		first.stop()
		b.stopAll()
	})
}

func TestSubscribeBeforeLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ta.hang = true })
		b.request()
		b.wantStatuses(bobHandler, "created, in-progress")
		if code := b.subscribe(bobDoor); code != 404 {
			t.Errorf("subscribe before live: %d", code)
		}
		b.stopAll()
	})
}

// TestConnectWhileLive: a connect command is not kept for later.
func TestConnectWhileLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		if code := b.command(aliceRequester, message.Execute, execute("connect", bobHandler)); code != 200 {
			t.Errorf("connect while live: %d", code)
		}
		b.ta.last().kill()
		time.Sleep(time.Minute)
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: no sign of life")
		b.stopAll()
	})
}

func TestDisconnectTakesConnectBack(t *testing.T) {
	r := &requester{instance: new(instance), remote: bob, wake: make(chan struct{}, 1)}
	for range 2 {
		if err := r.command(command{Method: "connect", Target: bobHandler}); err != nil || r.next != bobHandler {
			t.Fatalf("connect: next %q, error %v", r.next, err)
		}
		if err := r.command(command{Method: "disconnect", Target: bob}); err != nil || r.next != "" {
			t.Fatalf("disconnect: next %q, error %v", r.next, err)
		}
	}
	r.connection(t.Context()) // the token that was left; it does nothing
}

// TestManyInTheirTurn: a connection that has ended counts no longer: there may be more of them, one after the other, than the
// limits allow at once.
func TestManyInTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.request()
		for i := range maxSetups + 10 {
			b.command(aliceRequester, message.Execute, execute("disconnect", bob))
			synctest.Wait()
			b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
			synctest.Wait()
			if got := b.statusesOf(aliceRequester); !strings.HasSuffix(got, ", live") {
				t.Fatalf("round %d: %s", i, got[max(0, len(got)-300):])
			}
			time.Sleep(time.Second / 2)
		}
		b.stopAll()
	})
}

func TestTooManySetups(t *testing.T) {
	h := &handler{instance: new(instance)}
	for i := range maxSetups {
		if err := h.admit(message.URL(fmt.Sprintf("hyperty-runtime://example.com/%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.admit("hyperty-runtime://example.com/bob"); err == nil {
		t.Errorf("more than %d set-ups are taken", maxSetups)
	}
}

// TestChannelComesTooLate: the transport connects in the moment in which the set-up ends.
func TestChannelComesTooLate(t *testing.T) {
	i := &instance{start: requesterStart(aliceRequester)}
	s := i.begin(t.Context(), bob, bobHandler, Requester)
	ended := make(chan struct{})
	late := &memChannel{end: &memEnd{ended: ended}}
	s.connected <- late
	s.cancel(errGivenUp)
	if err := s.end(context.Canceled); err != errGivenUp {
		t.Errorf("the set-up ended with %v", err)
	}
	select {
	case <-ended:
	default:
		t.Error("the channel that nobody took is open")
	}
}

// TestBurst: all candidates arrive, also those that were there before the other side observed.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ta.candidates, b.tb.expects = MaxCandidates, MaxCandidates })
		var held []message.Message
		b.mu.Lock()
		b.hold = func(m message.Message) bool {
			if m.To != bobHandler || m.Type != message.Create || held != nil {
				return false
			}
			held = append(held, m)
			return true
		}
		b.mu.Unlock()
		b.request()
		_ = b.route(t.Context(), held[0]) // when all candidates are in the object
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live")
		if n := len(b.tb.got); n != 1+MaxCandidates {
			t.Errorf("%d signals came, want %d", n, 1+MaxCandidates)
		}
		b.stopAll()
	})
}
