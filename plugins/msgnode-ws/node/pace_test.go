package node

import (
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// The numbers of package rates for one address: its rate, as a multiple of what it may ask for in a second; which part of a
// second's worth it gets without a pause; and the prices of handshakes and of texts that are not messages.
const (
	paceRate, paceBurst        = 4, 16
	strikeCost, handshakePrice = 5, 25
)

// A runtime that a stranger floods through the node gets no more than one address may send, from the first moment on.
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

// The same holds for texts that are not messages, and for handshakes.
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
			_ = j.ws.Write(t.Context(), websocket.MessageText, []byte("[]")) // a text that does not arrive is missed below
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
