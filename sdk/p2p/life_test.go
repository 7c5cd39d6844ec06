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

// TestGlareRefused: the other registry prefers its own request. This side's Requester waits for that request. Its own registry
// ends it when the request has come; if none comes, it fails.
func TestGlareRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.consent = func(message.URL) int { return 409 } })
		b.request()
		time.Sleep(5 * time.Second)
		b.wantStatuses(aliceRequester, "created, in-progress")
		b.wantStatuses(bobHandler, "created (refused)")
		time.Sleep(setupTime)
		if got := b.statusesOf(aliceRequester); !strings.Contains(got, "failed: ") || !strings.Contains(got, "409") {
			t.Errorf("requester: %s", got)
		}
		if b.b.doors.count() != 0 || len(b.tb.peers) != 0 {
			t.Error("the refusing Handler has begun a set-up")
		}
		b.stopAll()
	})
}

func TestSilentRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.consent = func(message.URL) int { return 0 } })
		b.request()
		b.wantStatuses(aliceRequester, "created, in-progress")
		time.Sleep(consentTime + time.Second) // a missing answer is not a refusal
		b.wantStatuses(aliceRequester, "created, in-progress, live")
		time.Sleep(doorTime + time.Second) // but without a door there is no connection
		b.wantStatuses(bobHandler, "created, in-progress, live, disconnected: the registry has not subscribed the connection within 10s")
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: closed by the other side")
		if code := b.subscribe(bobDoor); code != 404 {
			t.Errorf("a late subscribe: %d", code)
		}
		b.stopAll()
	})
}

func TestRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		start := requesterStart(aliceRequester)
		start.Restarted = true
		b.a = b.start(Stub(b.ta.new), start)
		time.Sleep(time.Hour)
		b.wantStatuses(aliceRequester, "")
		b.command(aliceRequester, message.Execute, execute("connect", bobHandler))
		synctest.Wait()
		b.wantStatuses(aliceRequester, "in-progress, live")
		b.stopAll()
	})
}

// TestReplaced: the remote runtime has lost the connection without this side's noticing, and requests again.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		first := b.a
		second := b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q2"))
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live, created, in-progress, live")
		if b.b.doors.count() != 0 {
			t.Error("the door of the replaced connection is open")
		}
		if code := b.subscribe(bobHandler + "/2"); code != 200 {
			t.Errorf("subscribe: %d", code)
		}
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: closed by the other side")
		first.stop()
		b.a = second
		b.stopAll()
	})
}

// TestReplacedInSetup: a set-up that is under way is replaced as well.
func TestReplacedInSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ta.hang = true })
		b.request()
		first := b.a
		b.ta.hang = false
		second := b.start(Stub(b.ta.new), requesterStart(alice+"/p2prequester/q2"))
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, created, in-progress, live")
		b.wantStatuses(second.url, "created, in-progress, live")
		first.stop()
		b.a = second
		b.stopAll()
	})
}

func TestManyPeersOneTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers = 20
		made := 0
		b := newBed(t, nil)
		stub := Stub(func(c Config) (Transport, error) { made++; return b.ta, nil })
		var all []*running
		for i := range peers {
			all = append(all, b.start(stub, requesterStart(b.runtime(fmt.Sprint("r", i)).Join("p2prequester", "q"))))
		}
		synctest.Wait()
		for _, r := range all {
			b.wantStatuses(r.url, "created, in-progress, live")
		}
		if made != 1 {
			t.Errorf("%d transports were made for one process", made)
		}
		for i, r := range all {
			if b.ta.closed {
				t.Errorf("the transport was closed with %d instances left", peers-i)
			}
			r.stop()
		}
		b.b.stop()
		if !b.ta.closed {
			t.Error("the transport was not closed")
		}
	})
}

// TestEndedInstance: the other side sees a connection that was closed, not one that died.
func TestEndedInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		b.b.stop()
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live")
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: closed by the other side")
		b.a.stop()
	})
}

// TestDoorCloses: the runtime closes a door: the connection ends.
func TestDoorCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		_ = b.b.doors.at(bobDoor).Close()
		synctest.Wait()
		b.wantStatuses(bobHandler, "created, in-progress, live, disconnected: the runtime has closed the connection's door")
		b.wantStatuses(aliceRequester, "created, in-progress, live, disconnected: closed by the other side")
		b.stopAll()
	})
}

func TestDoorThatIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.a = b.start(Stub(b.ta.new), requesterStart(aliceRequester))
		taken, err := b.a.doors.Open(aliceRequester)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantStatuses(aliceRequester, "created, in-progress, failed: the door is open")
		_ = taken.Close()
		b.stopAll()
	})
}

// TestBackpressure: a core that does not take frames holds its peer back, and nobody else.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.connectAll()
		carol := b.start(Stub(b.ta.new), requesterStart(b.runtime("carol").Join("p2prequester", "q")))
		synctest.Wait()
		if code := b.command(bobHandler, message.Subscribe, `{"subscribe":["`+string(bobHandler)+`/2"],"peer":"`+string(carol.url.Runtime())+`"}`); code != 200 {
			t.Fatalf("subscribe: %d", code)
		}
		from, to := b.a.doors.at(aliceRequester), b.b.doors.at(bobDoor)
		sent := 0
		for more := true; more; synctest.Wait() {
			select {
			case from.toStub <- []byte{byte(sent)}:
				sent++
			default:
				more = false
			}
		}
		if sent < 100 || sent > 1000 {
			t.Errorf("%d frames were taken toward a core that takes none", sent)
		}
		carol.doors.at(carol.url).toStub <- []byte("hello")
		synctest.Wait()
		if got := string(<-b.b.doors.at(bobHandler + "/2").toCore); got != "hello" {
			t.Errorf("the other peer's frame: %q", got)
		}
		for i := range sent {
			if got := <-to.toCore; got[0] != byte(i) {
				t.Fatalf("frame %d is %v", i, got)
			}
		}
		carol.stop()
		b.stopAll()
	})
}

func TestTransportThatCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("the port is in use")
		stub := Stub(func(Config) (Transport, error) { return nil, boom })
		err := stub.Run(t.Context(), nil, requesterStart(aliceRequester))
		if !errors.Is(err, boom) {
			t.Errorf("Run: %v", err)
		}
		bad := requesterStart(aliceRequester)
		bad.Handler = "hyperty-runtime://example.org/carol/p2phandler/mem"
		if err := stub.Run(t.Context(), nil, bad); err == nil {
			t.Error("a Requester whose Handler is in another runtime runs")
		}
		bad = requesterStart(aliceRequester)
		bad.Role = sdk.RoleNode
		if err := stub.Run(t.Context(), nil, bad); err == nil {
			t.Error("an instance with another role runs")
		}
	})
}
