package p2p

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// bed is two runtimes: alice's Requester toward bob's Handler, over transports in memory.
type bed struct {
	*world
	ta, tb *memTransport
	a, b   *running
}

const bobDoor = bobHandler + "/1"

func requesterStart(url message.URL) sdk.Start {
	return sdk.Start{URL: url, Runtime: url.Runtime(), Role: sdk.RoleRequester, Remote: bob, Handler: bobHandler}
}

// newBed prepares both sides and starts the Handler; change may change the transports first.
func newBed(t *testing.T, change func(b *bed)) *bed {
	ether := new(memory)
	b := &bed{world: newWorld(t), ta: &memTransport{ether: ether}, tb: &memTransport{ether: ether}}
	if change != nil {
		change(b)
	}
	b.b = b.start(Stub(b.tb.new), sdk.Start{URL: bobHandler, Runtime: bob, Role: sdk.RoleHandler})
	synctest.Wait()
	return b
}

// request starts alice's Requester and waits until nothing moves.
func (b *bed) request() {
	b.a = b.start(Stub(b.ta.new), requesterStart(aliceRequester))
	synctest.Wait()
}

// subscribe sends the subscribe of bob's registry that follows live.
func (b *bed) subscribe(door message.URL) int {
	return b.command(bobHandler, message.Subscribe,
		fmt.Sprintf(`{"subscribe":[%q],"source":%q,"peer":%q}`, door, bobHandler, alice))
}

func (b *bed) connectAll() {
	b.t.Helper()
	b.request()
	if code := b.subscribe(bobDoor); code != 200 {
		b.t.Fatalf("subscribe after live: %d; requester: %s; handler: %s", code, b.statusesOf(aliceRequester), b.statusesOf(bobHandler))
	}
	synctest.Wait()
}

func (b *bed) stopAll() {
	b.a.stop()
	b.b.stop()
	synctest.Wait()
	b.wantObjects(0)
	for _, t := range []*memTransport{b.ta, b.tb} {
		if !t.closed {
			b.t.Error("a transport was not closed with its last instance")
		}
	}
}

// carries checks that frames pass both ways.
func (b *bed) carries(text string) {
	b.t.Helper()
	from, to := b.a.doors.at(aliceRequester), b.b.doors.at(bobDoor)
	if from == nil || to == nil {
		b.t.Fatalf("doors: requester %v, handler %v", from != nil, to != nil)
	}
	for i := range 20 {
		from.toStub <- fmt.Appendf(nil, "%s a %d", text, i)
		to.toStub <- fmt.Appendf(nil, "%s b %d", text, i)
	}
	for i := range 20 {
		if got, want := string(<-to.toCore), fmt.Sprintf("%s a %d", text, i); got != want {
			b.t.Fatalf("the handler's core got %q, want %q", got, want)
		}
		if got, want := string(<-from.toCore), fmt.Sprintf("%s b %d", text, i); got != want {
			b.t.Fatalf("the requester's core got %q, want %q", got, want)
		}
	}
}

func TestConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.request()
		b.wantStatuses(aliceRequester, "created, in-progress, live")
		b.wantStatuses(bobHandler, "created, in-progress, live")
		for stub, remote := range map[message.URL]message.URL{aliceRequester: bob, bobHandler: alice} {
			for _, r := range b.resource[stub] {
				if r != remote {
					t.Errorf("%s: a status has the resource %s, want %s", stub, r, remote)
				}
			}
		}
		early := b.a.doors.at(aliceRequester)
		for i := range 10 { // more than the channel holds: they wait for the door
			early.toStub <- fmt.Appendf(nil, "early %d", i)
		}
		time.Sleep(3 * time.Second)
		if code := b.subscribe(bobDoor); code != 200 {
			t.Fatalf("subscribe: %d", code)
		}
		for i := range 10 {
			if got, want := string(<-b.b.doors.at(bobDoor).toCore), fmt.Sprintf("early %d", i); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		if code := b.subscribe(bobDoor); code != 200 {
			t.Errorf("the same subscribe again: %d", code)
		}
		if code := b.subscribe(bobHandler + "/2"); code != 409 {
			t.Errorf("subscribe for a second door: %d", code)
		}
		b.carries("x")
		b.wantObjects(2)
		b.stopAll()
		b.wantStatuses(aliceRequester, "created, in-progress, live") // an instance that is being ended posts nothing
	})
}

// TestOrderOnTheWire: the messages of a set-up, in the order of the specification.
func TestOrderOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.request()
		var got []string
		for _, m := range b.posted {
			if m.Type == message.Response || strings.HasSuffix(string(m.To), "/sm") || strings.HasSuffix(string(m.To), "/identity") {
				continue
			}
			got = append(got, fmt.Sprintf("%s %s → %s", m.Type, m.From, m.To))
		}
		q, h := string(aliceRequester), string(bobHandler)
		want := []string{
			"update " + q + " → " + q + "/status",
			"update " + q + " → " + q + "/status",
			"create connection://example.com/c1/subscription → " + h,
			"update " + h + " → " + h + "/status",
			"update " + h + " → " + h + "/status",
			"create connection://example.org/c2/subscription → " + q,
		}
		for i, line := range want {
			if i >= len(got) || got[i] != line {
				t.Fatalf("message %d:\nwant %s\n got %s", i, line, strings.Join(got, "\n     "))
			}
		}
		b.stopAll()
	})
}

func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) {
			b.ta.candidates, b.ta.every, b.tb.expects = 5, 100*time.Millisecond, 5
			b.tb.candidates, b.tb.every, b.ta.expects = MaxCandidates, 10*time.Millisecond, MaxCandidates
		})
		b.request()
		time.Sleep(2 * time.Second)
		b.wantStatuses(aliceRequester, "created, in-progress, live")
		b.wantStatuses(bobHandler, "created, in-progress, live")
		for _, side := range []*memTransport{b.ta, b.tb} {
			for i, s := range side.got[1:] {
				if want := fmt.Sprintf(`{"number":%d}`, i); string(s.Value) != want {
					t.Errorf("candidate %d is %s", i, s.Value)
				}
			}
		}
		if code := b.subscribe(bobDoor); code != 200 {
			t.Errorf("subscribe: %d", code)
		}
		b.carries("x")
		b.stopAll()
	})
}

func TestTooManyCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.tb.candidates, b.ta.expects = MaxCandidates+1, MaxCandidates+1 })
		b.request()
		b.wantStatuses(bobHandler, "created, in-progress, failed: signalling to "+string(alice)+": more than 64 candidates")
		b.stopAll()
	})
}

func TestChannelEndsAndReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		b.ta.last().kill()
		synctest.Wait()
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: no sign of life")
		b.wantStatuses(bobHandler, "created, in-progress, live, disconnected: no sign of life")
		b.wantObjects(0)
		if n := b.a.doors.count() + b.b.doors.count(); n != 0 {
			t.Errorf("%d doors are open", n)
		}
		time.Sleep(time.Hour) // it waits for a command
		for range 3 {         // repeated commands have the effect of one
			if code := b.command(aliceRequester, message.Execute, execute("connect", bobHandler)); code != 200 {
				t.Fatalf("execute connect: %d", code)
			}
		}
		synctest.Wait()
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: no sign of life, in-progress, live")
		if b.made != 4 {
			t.Errorf("%d Connection objects were made, want 2 for each set-up", b.made)
		}
		if code := b.subscribe(bobDoor); code != 200 {
			t.Fatalf("subscribe: %d", code)
		}
		b.carries("again")
		b.tb.last().Close() // the Handler's runtime closes it
		synctest.Wait()
		if got := b.statusesOf(aliceRequester); !strings.HasSuffix(got, "live, disconnected: closed by the other side") {
			t.Errorf("statuses: %s", got)
		}
		b.stopAll()
	})
}

func TestDisconnectCommand(t *testing.T) {
	for _, end := range []message.URL{aliceRequester, bobHandler} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, nil)
			b.connectAll()
			remote := bob
			if end == bobHandler {
				remote = alice
			}
			for range 2 {
				if code := b.command(end, message.Execute, execute("disconnect", remote)); code != 200 {
					t.Fatalf("execute disconnect: %d", code)
				}
				synctest.Wait()
			}
			other := aliceRequester
			if end == aliceRequester {
				other = bobHandler
			}
			b.wantStatuses(end, "created, in-progress, live, disconnected: given up by the registry")
			b.wantStatuses(other, "created, in-progress, live, disconnected: closed by the other side")
			b.stopAll()
		})
	}
}

// TestCommandsInARow: the last one counts, however quickly they come.
func TestCommandsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		b.command(aliceRequester, message.Execute, execute("disconnect", bob))
		b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		synctest.Wait()
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: given up by the registry, in-progress, live")
		b.command(aliceRequester, message.Execute, execute("disconnect", bob))
		b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		b.command(aliceRequester, message.Execute, execute("disconnect", bob))
		time.Sleep(time.Minute)
		if got := b.statusesOf(aliceRequester); strings.HasSuffix(got, "live") {
			t.Errorf("it is connected although the last command was disconnect: %s", got)
		}
		b.stopAll()
	})
}

func TestDisconnectDuringSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ta.hang = true })
		b.request()
		b.command(aliceRequester, message.Execute, execute("disconnect", bob))
		synctest.Wait()
		b.wantStatuses(aliceRequester, "created, in-progress, failed: given up by the registry: no way to the peer")
		// The other side notices that by the deletion of the object, and does not wait.
		b.wantStatuses(bobHandler, "created, in-progress, failed: the other side has withdrawn its Connection object")
		b.wantObjects(0)
		b.stopAll()
	})
}

func TestSetupTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ta.hang, b.tb.hang = true, true })
		b.request()
		b.wantStatuses(aliceRequester, "created, in-progress")
		time.Sleep(setupTime + time.Second)
		// Either side may be the first to give up; the other one notices.
		if got := b.statusesOf(aliceRequester); !strings.HasPrefix(got, "created, in-progress, failed: ") || !strings.HasSuffix(got, ": no way to the peer") {
			t.Errorf("requester: %s", got)
		}
		if got := b.statusesOf(bobHandler); !strings.HasPrefix(got, "created, in-progress, failed: ") {
			t.Errorf("handler: %s", got)
		}
		b.wantObjects(0)
		b.ta.hang, b.tb.hang = false, false
		b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		synctest.Wait()
		if got := b.statusesOf(aliceRequester); !strings.HasSuffix(got, "in-progress, live") {
			t.Errorf("after the next try: %s", got)
		}
		b.stopAll()
	})
}

func TestMuteTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ta.mute = true })
		b.request()
		time.Sleep(setupTime + time.Second)
		b.wantStatuses(aliceRequester, "created, failed: no channel within 15s")
		b.wantStatuses(bobHandler, "")
		b.stopAll()
	})
}

func TestTransportFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.tb.fail = errors.New("no socket") })
		b.request()
		b.wantStatuses(bobHandler, "created, in-progress, failed: no socket")
		time.Sleep(setupTime + time.Second)
		if got := b.statusesOf(aliceRequester); !strings.HasPrefix(got, "created, in-progress, failed: ") {
			t.Errorf("requester: %s", got)
		}
		b.stopAll()
	})
}

func TestLargeDescription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) {
			b.ta.describe = message.Encode(map[string]string{"x": strings.Repeat("x", MaxDescription)})
		})
		b.request()
		if got := b.statusesOf(aliceRequester); !strings.Contains(got, "failed: signalling to") || !strings.Contains(got, "at most 65536") {
			t.Errorf("requester: %s", got)
		}
		b.stopAll()
	})
}
