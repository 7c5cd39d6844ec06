package p2p

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// beside starts a second Requester of alice's. Bob's registry answers its invitation with keep: the live connection goes on
// until the new one is live.
func (b *bed) beside() (first *running) {
	b.mu.Lock()
	b.keep = true
	b.mu.Unlock()
	first = b.a
	b.a = b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q2"))
	return first
}

// delayInvitation delays the next invitation by a second: so the Requester's time ends first.
func (b *bed) delayInvitation() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hold = func(m message.Message) bool {
		if m.To != bobHandler || m.Type != message.Create {
			return false
		}
		b.mu.Lock()
		b.hold = nil
		b.mu.Unlock()
		time.AfterFunc(time.Second, func() { _ = b.route(context.Background(), m) })
		return true
	}
}

// TestKeep: the live connection carries frames until the new one is live, and nothing is said of its end.
func TestKeep(t *testing.T) {
	for _, closes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, nil)
			b.connectAll()
			first := b.beside()
			second := b.a
			synctest.Wait()
			b.wantStatuses(second.url, "created, in-progress, live")
			b.a = first
			b.carries("by the old one")
			if code := b.subscribe(bobHandler + "/2"); code != 200 {
				t.Fatalf("subscribe for the new one: %d", code)
			}
			second.doors.at(second.url).toStub <- []byte("new")
			if got := string(<-b.b.doors.at(bobHandler + "/2").toCore); got != "new" {
				t.Errorf("got %q", got)
			}
			b.carries("still by the old one")
			if closes {
				first.stop()
				synctest.Wait()
			} else {
				time.Sleep(keepTime + time.Second) // the other side does not close it
			}
			if b.b.doors.at(bobDoor) != nil {
				t.Error("the old one's door is open")
			}
			b.wantStatuses(bobHandler, "created, in-progress, live, created, in-progress, live")
			b.a = second
			if !closes {
				first.stop()
			}
			b.stopAll()
		})
	}
}

// TestKeepAndTheNewOneFails: the live connection goes on.
func TestKeepAndTheNewOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		b.tb.hang = true
		b.delayInvitation()
		first := b.beside()
		time.Sleep(time.Minute)
		b.a.stop()
		b.a = first
		b.carries("by the old one")
		b.wantStatuses(bobHandler, "created, in-progress, live, created, in-progress, failed: the other side has withdrawn its Connection object: no way to the peer")
		b.tb.last().kill()
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live, created, in-progress, failed: the other side has withdrawn its Connection object: no way to the peer, disconnected: no sign of life")
		b.stopAll()
	})
}

// TestKeepAndTheOldOneEnds: the end of the old connection is reported; the new one does not depend on it.
func TestKeepAndTheOldOneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		old := b.tb.last()
		b.tb.hang = true
		b.delayInvitation()
		first := b.beside()
		time.Sleep(2 * time.Second)
		old.kill()
		time.Sleep(time.Minute)
		b.wantStatuses(bobHandler, "created, in-progress, live, created, in-progress, disconnected: no sign of life, failed: the other side has withdrawn its Connection object: no way to the peer")
		first.stop()
		b.stopAll()
	})
}

// TestKeepOfTwo: a second invitation replaces the first one's set-up, and the live connection is still kept; an invitation
// without keep ends it.
func TestKeepOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		b.tb.hang = true
		first := b.beside()
		time.Sleep(time.Second)
		second := b.a
		b.a = b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q3"))
		time.Sleep(time.Second)
		third := b.a
		b.a = first
		b.carries("by the old one")
		b.mu.Lock()
		b.keep = false
		b.mu.Unlock()
		synctest.Wait()
		b.tb.hang = false
		b.a = b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q4"))
		time.Sleep(time.Second)
		if b.b.doors.at(bobDoor) != nil {
			t.Error("the old one's door is open")
		}
		b.wantStatuses(b.a.url, "created, in-progress, live")
		b.wantStatuses(bobHandler, "created, in-progress, live, created, in-progress, created, in-progress, created, in-progress, live")
		for _, r := range []*running{first, second, third} {
			r.stop()
		}
		b.stopAll()
	})
}
