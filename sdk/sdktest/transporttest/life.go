package transporttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

func testLateSignals(t *testing.T, s Suite) {
	requester, stopA := s.make(t, s.Requester)
	defer stopA()
	handler, stopB := s.make(t, s.Handler)
	defer stopB()
	a, b, err := s.connect(t, requester, handler, 0, 150*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if err := bothWays(a, b, 100, 1); err != nil {
		t.Fatal(err)
	}
}

// testBothRequest: each transport is Requester toward the other at the same time.
func testBothRequest(t *testing.T, s Suite) {
	x, stopX := s.make(t, s.Requester)
	defer stopX()
	y, stopY := s.make(t, s.Handler)
	defer stopY()
	done := make(chan error, 2)
	try := func(from, to p2p.Transport, local, remote message.URL) {
		a, b, err := s.connectAs(t, from, to, local, remote, 0)
		if err == nil {
			err = bothWays(a, b, 500, 1)
		}
		done <- err
	}
	alice, bob := runtimeURL("alice", 0), runtimeURL("bob", 0) // a transport is one runtime's, whatever its role
	go try(x, y, alice, bob)
	go try(y, x, bob, alice)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// testAgain: the same two runtimes connect anew, after the old channel was closed and beside one that was not.
func testAgain(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	if err := p.a.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for i := range 3 {
		a, b, err := s.connect(t, p.requester, p.handler, 0, 0)
		if err != nil {
			t.Fatalf("connecting again: %v", err)
		}
		if err := bothWays(a, b, 100, 1); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			_ = b.Close()
		}
	}
}

func testManyPeers(t *testing.T, s Suite) {
	const peers = 8
	handler, stop := s.make(t, s.Handler)
	defer stop()
	var all sync.WaitGroup
	for i := range peers {
		requester, stop := s.make(t, s.Requester)
		defer stop()
		all.Go(func() {
			a, b, err := s.connect(t, requester, handler, i, 0)
			if err == nil {
				err = bothWays(a, b, 2000, uint64(i)*2)
			}
			if err != nil {
				t.Errorf("peer %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

func testParallel(t *testing.T, s Suite) {
	x, stopX := s.make(t, s.Requester)
	defer stopX()
	y, stopY := s.make(t, s.Handler)
	defer stopY()
	s.Setup = max(s.Setup, 30*time.Second) // all at once, on a machine that may be busy
	var all sync.WaitGroup
	for i := range s.Parallel {
		all.Go(func() {
			a, b, err := s.connect(t, x, y, i, 0)
			if err == nil {
				err = bothWays(a, b, 20, uint64(i)*2)
				_ = a.Close()
			}
			if err != nil {
				t.Errorf("set-up %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

func testCloseIsEOF(t *testing.T, s Suite) {
	requester, stopA := s.make(t, s.Requester)
	defer stopA()
	handler, stopB := s.make(t, s.Handler)
	defer stopB()
	for _, closer := range []string{"requester", "handler"} {
		a, b, err := s.connect(t, requester, handler, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := bothWays(a, b, 10, 1); err != nil {
			t.Fatal(err)
		}
		if closer == "handler" {
			a, b = b, a
		}
		if err := a.Close(); err != nil {
			t.Errorf("%s: Close: %v", closer, err)
		}
		if err := recvError(b, soon); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the %s has closed: the other side got %v, want io.EOF", closer, err)
		}
		if err := recvError(a, soon); err == nil {
			t.Errorf("%s: Recv works after Close", closer)
		}
		if err := a.Send(context.Background(), []byte("x")); err == nil {
			t.Errorf("%s: Send works after Close", closer)
		}
		_ = a.Close() // more than once is allowed
		_ = b.Close()
		_ = b.Close()
	}
}

func testCloseFrees(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	ctx := context.Background()
	done := make(chan string, 2)
	go func() {
		for frame := make([]byte, 64<<10); p.a.Send(ctx, frame) == nil; {
		}
		done <- "Send"
	}()
	go func() {
		for {
			if _, err := p.a.Recv(ctx); err != nil {
				done <- "Recv"
				return
			}
		}
	}()
	select { // give Send the time to block
	case what := <-done:
		t.Fatalf("%s has failed before Close", what)
	case <-time.After(500 * time.Millisecond):
	}
	_ = p.a.Close()
	for range 2 {
		select {
		case <-done:
		case <-time.After(soon):
			t.Fatal("a Send or Recv still blocks after Close")
		}
	}
}

func testTransportClose(t *testing.T, s Suite) {
	p, stop := s.pair(t)
	defer stop()
	if err := p.requester.Close(); err != nil {
		t.Fatalf("Transport.Close: %v", err)
	}
	if err := p.a.Send(context.Background(), []byte("x")); err == nil {
		t.Error("Send works on a channel whose transport is closed")
	}
	if err := recvError(p.a, soon); err == nil {
		t.Error("Recv works on a channel whose transport is closed")
	}
	if err := recvError(p.b, s.Dead); !errors.Is(err, io.EOF) {
		t.Errorf("the other transport was closed: got %v, want io.EOF", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	peer := p2p.Peer{Local: runtimeURL("alice", 0), Remote: runtimeURL("bob", 0), Role: p2p.Requester}
	r := one(ctx, p.requester, peer, newWire(t, 0).a)
	if r.err == nil {
		t.Error("a closed transport connects")
	}
}

// testCanceled: a peer that never answers. Connect returns when its ctx ends, and nothing is left.
func testCanceled(t *testing.T, s Suite) {
	tr, stop := s.make(t, s.Requester)
	defer stop()
	for _, role := range []p2p.Role{p2p.Requester, p2p.Handler} {
		leaks := noLeaks(t)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*40*time.Millisecond)
				defer cancel()
				peer := p2p.Peer{Local: runtimeURL("alice", i), Remote: runtimeURL("bob", i), Role: role}
				w := newWire(t, 0)
				r := one(ctx, tr, peer, w.a)
				r.close()
				if late := r.took - time.Duration(i)*40*time.Millisecond; r.err == nil || late > soon/2 {
					t.Errorf("Connect toward a silent peer: error %v, %v after its ctx had ended", r.err, late)
				}
			})
		}
		all.Wait()
		leaks() // before the transport is closed
	}
}

// testOptions: the operator's options are checked.
func testOptions(t *testing.T, s Suite) {
	for _, bad := range []string{`{"no-such-option-of-any-transport":1}`, `[]`, `{`, `"text"`} {
		tr, err := s.New(p2p.Config{Options: json.RawMessage(bad), Log: s.Log})
		if err == nil {
			_ = tr.Close()
			t.Errorf("the options %s are taken", bad)
		} else if len(fmt.Sprint(err)) < 10 {
			t.Errorf("the options %s: the error %q does not say what is wrong", bad, err)
		}
	}
}
