package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/udp/reach"
)

// named is what a peer signals: a description, then candidates.
type named struct{ signals chan p2p.Signal }

func (n *named) Send(context.Context, p2p.Signal) error { return nil }

func (n *named) Recv(ctx context.Context) (p2p.Signal, error) {
	select {
	case s := <-n.signals:
		return s, nil
	case <-ctx.Done():
		return p2p.Signal{}, ctx.Err()
	}
}

// A peer that names one address many times, and many ports of a host, has each host dialed once; and none where the
// operator does not want it.
func TestNamedAddressesAreFew(t *testing.T) {
	t.Parallel()
	var dials atomic.Int32
	victim, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := victim.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			_ = c.Close()
		}
	}()
	defer func() {
		_ = victim.Close()
		<-ended
	}()
	for loopback, most := range map[bool]int32{true: 1, false: 0} {
		dials.Store(0)
		tr := onTCP(t, reach.Policy{Loopback: loopback, Private: true})
		n := &named{signals: make(chan p2p.Signal, 2*p2p.MaxCandidates)}
		n.signals <- p2p.Signal{Value: message.Encode(description{Transport: "tcp", Certificate: hashOf(nil), Name: fmt.Sprintf("%032d", 1)})}
		for i := range p2p.MaxCandidates {
			at := victim.Addr().String()
			if i%2 == 1 {
				at = fmt.Sprintf("127.0.0.1:%d", 1000+i)
			}
			n.signals <- p2p.Signal{Kind: p2p.Candidate, Value: json.RawMessage(`{"address":"` + at + `"}`)}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		if _, err := tr.Connect(ctx, p2p.Peer{Role: p2p.Requester}, n); err == nil {
			t.Error("connected with nobody")
		}
		cancel()
		_ = tr.Close()
		if got := dials.Load(); got > most || got < most {
			t.Errorf("loopback %v: %d dials, want %d", loopback, got, most)
		}
	}
}

// One host that opens connections and says nothing has few of the places.
func TestSilentConnectionsOfOneHost(t *testing.T) {
	t.Parallel()
	tr := onTCP(t, reach.Policy{Loopback: true, Private: true})
	defer tr.Close()
	var open []net.Conn
	for range maxOfHost + 10 {
		c, err := net.Dial("tcp", tr.network.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		defer c.Close()
	}
	for _, c := range open { // none names a set-up
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a silent connection stays: %v", err)
		}
	}
	for tr.taken() > 0 && t.Context().Err() == nil { // the other end has closed them, and may not have given their places back yet
		time.Sleep(time.Millisecond)
	}
	places := 0
	for range 2 * maxUnknown {
		if _, ok := tr.admit(from{at: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)}}); ok {
			places++
		}
	}
	if places != maxOfHost {
		t.Errorf("one host has %d places", places)
	}
	leave, ok := tr.admit(from{at: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 8)}})
	if !ok {
		t.Fatal("another host has no place")
	}
	leave()
	leave()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.unknowns != maxOfHost || len(tr.unknown) != 1 {
		t.Errorf("%d places are taken, by %d hosts", tr.unknowns, len(tr.unknown))
	}
}

// taken is how many places are.
func (t *Transport) taken() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unknowns
}

// from is a connection with another remote address.
type from struct {
	net.Conn
	at net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.at }
