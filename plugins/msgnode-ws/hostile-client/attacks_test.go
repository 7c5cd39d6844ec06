package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Only this machine is attacked.
func TestOnlyLoopback(t *testing.T) {
	for _, node := range []string{"ws://192.0.2.1:4433/protofly", "ws://example.com/protofly", "", "::"} {
		a := attacker{node: node, domain: "example.com"}
		if err := a.run(t.Context(), "http"); err == nil || a.tried.Load() > 0 {
			t.Errorf("%q was attacked: %v", node, err)
		}
	}
	a := attacker{node: "ws://127.0.0.1:1/protofly"}
	if err := a.run(t.Context(), "nothing"); err == nil || !strings.Contains(err.Error(), "unproven") {
		t.Errorf("an attack that there is not: %v", err)
	}
}

// Each kind ends when it has to, also if the node refuses everything.
func TestEveryAttackEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	defer func() { _ = l.Close(); <-closed }()
	for _, name := range names() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		a := attacker{node: "ws://" + l.Addr().String() + "/protofly", domain: "example.com", victim: "hyperty-runtime://example.com/r"}
		if err := a.run(ctx, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}
