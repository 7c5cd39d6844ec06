package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// pacedNode is as much of a node as takes what requests cost.
func pacedNode(ctx context.Context, l Limits) *Node {
	return &Node{ctx: ctx, opts: Options{Limits: l}, guard: guard{rates: newRates(l)}}
}

func (n *Node) pacedConn(from quota.Source) *conn {
	l := n.opts.Limits
	return &conn{node: n, ctx: n.ctx, account: account{from: from, budget: rate.NewLimiter(rate.Limit(l.Requests), 10*l.Requests)}}
}

// What an address may ask for at once it gets, but not all at once: others' messages come between.
func TestBurstsArePaced(t *testing.T) {
	for name, cost := range map[string]int{"look-ups": 1, "changes": rowPrice, "large ones": 700} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := DefaultLimits()
				n, from, began := pacedNode(t.Context(), l), sourceAt("192.0.2.1"), time.Now()
				spent := make(chan int)
				const conns = 3 // each may spend all that it may: the address has more
				for range conns {
					c := n.pacedConn(from)
					go func() {
						sum := 0
						for n.charge(c, cost) == nil {
							sum += cost
							spent <- cost
							c.keepPace()
						}
						if sum < 9*l.Requests {
							t.Errorf("a connection was refused after %d units", sum)
						}
						spent <- 0
					}()
				}
				sum, slack := 0, l.AddressRequests/paceBurst+conns*(cost+int(leastWait.Seconds()*float64(paceRate*l.AddressRequests)))
				for left := conns; left > 0; {
					one := <-spent
					if one == 0 {
						left--
					}
					sum += one
					if most := slack + int(time.Since(began).Seconds()*float64(paceRate*l.AddressRequests)); sum > most && !t.Failed() {
						t.Errorf("%d units after %v, at most %d", sum, time.Since(began), most)
					}
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("all took %v", took)
				}
			})
		})
	}
}

// Who is not counted by address, and who asks for as much as anybody does that connects, does not wait.
func TestFewRequestsAreNotPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, began := pacedNode(t.Context(), DefaultLimits()), time.Now()
		many := n.pacedConn(quota.Source{})
		for range 5000 {
			if r := n.charge(many, 1); r != nil {
				t.Fatal(r.Text)
			}
			many.keepPace()
		}
		from := quota.Source{Prefix: netip.MustParsePrefix("192.0.2.1/32")}
		n.paceHandshake(from)
		few := n.pacedConn(from)
		for range 40 {
			if r := n.charge(few, rowPrice); r != nil {
				t.Fatal(r.Text)
			}
			few.keepPace()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("they took %v", took)
		}
		for range 100 {
			n.paceHandshake(from)
		}
		if took, least := time.Since(began), 100*handshakePrice*time.Second/time.Duration(paceRate*n.opts.Limits.AddressRequests); took < least/2 {
			t.Errorf("100 handshakes more took %v", took)
		}
	})
}

// A runtime that a stranger floods hears from the node as much as one address gets, from the first moment on.
func TestFloodBeginsSlowly(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Exempt: everyAddress})
	alice, mallory := n.joinAt(t, "127.0.0.2", 1), n.join(t, 2)
	alice.sync()
	mallory.sync()
	const count, packet = 4000, 50
	done := make(chan error, 1)
	go func() {
		for i := 0; i < count; i += packet {
			var frames []byte
			for j := range packet {
				frames = wire.AppendMessage(frames, &message.Message{ID: message.NumberID(uint64(i + j + 1)), Type: message.Response, From: mallory.runtime.Join("x"), To: alice.runtime.Join("registry"),
					Body: []byte(`{"code":200}`)})
			}
			if err := mallory.ws.Write(t.Context(), websocket.MessageBinary, frames); err != nil {
				done <- fmt.Errorf("write: %w", err)
				return
			}
		}
		done <- nil
	}()
	alice.message()
	began := time.Now()
	for range count - 1 {
		alice.message()
	}
	l := DefaultLimits()
	took, least := time.Since(began), time.Duration(count-l.AddressRequests/paceBurst)*time.Second/time.Duration(paceRate*l.AddressRequests)
	if took < least*9/10 {
		t.Errorf("%d messages came within %v, they are to take %v", count, took, least)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// So do texts that are no messages, and handshakes.
func TestOtherFloodsBeginSlowly(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(nil)
	pair := s.TLS.Certificates[0]
	s.Close()
	check := func(what string, count, cost, second int, took time.Duration) {
		t.Helper()
		if least := time.Duration(count*cost-second/paceBurst) * time.Second / time.Duration(paceRate*second); took < least*9/10 {
			t.Errorf("%d %s took %v, they are to take %v", count, what, took, least)
		}
	}
	const texts, handshakes, few = 1000, 2, 16
	n := start(t, Options{Exempt: everyAddress, Legacy: true})
	j := n.plain(t, "hyperty-runtime://example.com/plain")
	began := time.Now()
	go func() {
		for range texts {
			_ = j.ws.Write(t.Context(), websocket.MessageText, []byte("[]")) // what does not come is missed below
		}
	}()
	for range texts {
		j.message()
	}
	check("texts", texts, strikeCost, DefaultLimits().AddressRequests, time.Since(began))
	n = start(t, Options{Exempt: everyAddress, Limits: Limits{AddressRequests: few}, TLS: &tls.Config{Certificates: []tls.Certificate{pair}}})
	began = time.Now()
	for range handshakes {
		c, err := tls.Dial("tcp", n.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	check("handshakes", handshakes, handshakePrice, few, time.Since(began))
}
