package api

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/protofly/protofly/core/trace"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// flood opens connections that say the same first words, and nothing more.
func flood(t *testing.T, socket string, n int, words string) (conns []net.Conn) {
	t.Helper()
	for range n {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, words) // it may have lost its place already
		conns = append(conns, conn)
	}
	return conns
}

// usable asks for the status and has one application talk to itself, on connections of their own.
func usable(t *testing.T, socket string, good *hyperty.Hyperty) {
	t.Helper()
	c, err := Dial(limit(t), socket)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer c.Close()
	if _, err := c.Status(limit(t)); err != nil {
		t.Errorf("status: %v", err)
	}
	again := register(t, dial(t, hyperty.Options{Socket: socket}), "")
	if err := again.Post(limit(t), message.Message{Type: message.Update, From: again.URL(), To: good.URL()}); err != nil {
		t.Errorf("a new application: %v", err)
	}
}

// Whatever 300 connections begin with and do not go on with, the operator and applications get in, and those that are
// there already stay.
func TestUnopenedConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	settings := func() string {
		var b strings.Builder
		b.WriteString(http2.ClientPreface)
		_ = http2.NewFramer(&b, nil).WriteSettings()
		return b.String()
	}()
	floods := map[string][]net.Conn{}
	for name, words := range map[string]string{"nothing": "", "a preface": http2.ClientPreface, "half a preface": http2.ClientPreface[:9], "settings": settings,
		"the preamble": wire.Preamble, "half the preamble": wire.Preamble[:3], "garbage": "GET / HTTP/1.1\r\n\r\n"} {
		h, socket := newHouse(t), socketPath(t)
		serve(t, h, socket)
		good := register(t, dial(t, hyperty.Options{Socket: socket}), "good")
		came := make(chan struct{}, 1)
		good.Handle(func(context.Context, hyperty.Received) { came <- struct{}{} })
		early, err := Dial(limit(t), socket)
		if err != nil {
			t.Fatal(err)
		}
		defer early.Close()
		if _, err := early.Status(limit(t)); err != nil {
			t.Fatal(err)
		}
		floods[name] = flood(t, socket, 300, words)
		t.Run(name, func(t *testing.T) {
			usable(t, socket, good)
			select {
			case <-came:
			case <-limit(t).Done():
				t.Error("nothing came")
			}
			if _, err := early.Status(limit(t)); err != nil {
				t.Errorf("who was there before: %v", err)
			}
		})
	}
	for name, conns := range floods { // all of them end by themselves
		for _, conn := range conns {
			_ = conn.SetReadDeadline(time.Now().Add(2 * openTime))
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Fatalf("a connection that says %s and never opens stays", name)
			}
		}
	}
}

// Neither do callers that call for ever.
func TestCallersKeepNobodyOut(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	good := register(t, dial(t, hyperty.Options{Socket: socket}), "good")
	ctx, cancel := context.WithCancel(limit(t))
	ended := make(chan struct{}, 200)
	for range 200 {
		c, err := Dial(ctx, socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ready, over := make(chan struct{}), make(chan struct{})
		go func() {
			_ = c.Trace(ctx, false, func() { close(ready) }, func(trace.Event, uint64) {})
			_ = c.Close() // else it connects again
			close(over)
			ended <- struct{}{}
		}()
		select {
		case <-ready:
		case <-over:
		case <-ctx.Done():
			t.Fatal("no trace")
		}
	}
	usable(t, socket, good)
	cancel()
	for range 200 {
		<-ended
	}
}

// An application that has no place is told why; one that ends makes room.
func TestPlacesOfApplications(t *testing.T) {
	var all places
	open := func(pid int) *place {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		return all.enter(near, pid)
	}
	var mine []*place
	for range maxOfProcess {
		one := open(1)
		if err := one.attach(); err != nil {
			t.Fatal(err)
		}
		mine = append(mine, one)
	}
	if err := open(1).attach(); err == nil || !strings.Contains(err.Error(), "this process") {
		t.Errorf("one more of a process: %v", err)
	}
	for range maxConnections - maxOfProcess {
		one := open(0)
		if err := one.attach(); err != nil {
			t.Fatal(err)
		}
		defer one.Close()
	}
	if err := open(2).attach(); err == nil || !strings.Contains(err.Error(), "applications are connected") {
		t.Errorf("one more: %v", err)
	}
	for _, one := range mine {
		_ = one.Close()
	}
	fresh := open(2)
	if err := fresh.attach(); err != nil {
		t.Error(err)
	}
	_ = fresh.Close()
	if err := fresh.attach(); err == nil {
		t.Error("a closed one was attached")
	}
}

// Who has the most places loses one, and of that one's the oldest that nobody waits for.
func TestGreediest(t *testing.T) {
	list := []*place{{pid: 7}, {pid: 1, calls: 1}, {pid: 1}, {pid: 7}, {pid: 1}, {pid: 3}}
	if got := greediest(list); got != list[2] {
		t.Errorf("%+v", got)
	}
	if got := greediest(list[:1]); got != list[0] {
		t.Errorf("%+v", got)
	}
}
