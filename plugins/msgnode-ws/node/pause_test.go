package node

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// A connection that is refused because it asked for too much, and is therefore not read for a while, does not keep others'
// requests from being computed meanwhile.
func TestNobodyPausesInATurn(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{AddressRequests: 100}})
	alice := n.join(t, 1)
	big := strings.Repeat("x", 60<<10)
	for i := range 3 {
		u := alice.allocate(`{"value":{"number":1}}`)[0]
		alice.must(message.Create, lookups, entryOf(alice.runtime, u, fmt.Sprintf(`,"user":"user://example.com/u%d","more":%q`, i, big)))
	}
	refused := 0
	for range 20 {
		code, _ := alice.ask(message.Read, lookups, `{"criteria":{"scheme":"hyperty"}}`)
		if code != 429 {
			continue
		}
		refused++
		taken, _ := n.rates.Turns.State() // alice is not read from now
		if taken {
			t.Fatal("the one that was refused has the turn still")
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the test tests nothing")
	}
}

// freezing carries connections to a server, until freeze: from then on what is sent to it is lost. It returns its address.
func freezing(t *testing.T, server string) (at string, freeze func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var frozen atomic.Bool
	var carriers sync.WaitGroup
	t.Cleanup(func() { l.Close(); carriers.Wait() })
	carriers.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				in.Close()
				continue
			}
			carriers.Go(func() {
				defer in.Close()
				_, _ = io.Copy(in, out)
			})
			carriers.Go(func() {
				defer out.Close()
				for b := make([]byte, 4096); ; {
					n, err := in.Read(b)
					if err != nil {
						return
					}
					if !frozen.Load() {
						_, _ = out.Write(b[:n])
					}
				}
			})
		}
	})
	return l.Addr().String(), func() { frozen.Store(true) }
}

// A request for which the servers of the state have to be asked does not keep others' requests from being computed while the
// servers do not answer.
func TestNobodyWaitsForServersInATurn(t *testing.T) {
	t.Parallel()
	at, freeze := freezing(t, strings.TrimPrefix(cluster(t, t.TempDir(), 0).ClientURL(), "nats://"))
	const state = 10 * time.Second
	n := start(t, Options{NATSKey: testSecret, NATS: "nats://" + at, Times: Times{State: state}})
	mallory, alice := n.join(t, 1), n.join(t, 2)
	mallory.sync()
	alice.sync()
	freeze()
	mallory.send(message.Message{ID: message.NumberID(1), Type: message.Subscribe, From: mallory.runtime, To: manager, Body: []byte(`{"resources":["hyperty://example.com/x"]}`)})
	began := time.Now()
	for time.Since(began) < 300*time.Millisecond {
		alice.sync()
	}
	if took := time.Since(began); took > state/2 {
		t.Errorf("a look-up took %v", took)
	}
	mallory.ws.CloseNow()
	alice.ws.CloseNow()
}
