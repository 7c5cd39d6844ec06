package main

import (
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/sdktest/transporttest"
)

func TestMain(m *testing.M) {
	longtest.Parallel(32)
	goleak.VerifyTestMain(m)
}

func suite() transporttest.Suite {
	hasty := func(c p2p.Config) (p2p.Transport, error) { return open(c, 3*time.Second) }
	return transporttest.Suite{New: New, Hasty: hasty, Dead: 8 * time.Second}
}

func TestTransport(t *testing.T) { transporttest.Run(t, suite()) }

// A dead peer is noticed in time by the transport that is in use.
func TestLongDeadPeer(t *testing.T) {
	longtest.Skip(t)
	transporttest.DeadPeer(t, transporttest.Suite{New: New})
}

func BenchmarkTransport(b *testing.B) { transporttest.Benchmark(b, suite()) }

func TestOptions(t *testing.T) {
	for _, bad := range []string{`{"listen":7}`, `{"listen":"nowhere"}`, `{"advertise":["x"]}`, `{"advertise":["224.0.0.1:7"]}`, `{"advertise":["10.0.0.1:0"]}`} {
		if tr, err := New(configOf(bad)); err == nil {
			_ = tr.Close()
			t.Errorf("the options %s are taken", bad)
		}
	}
	_, advertised, err := parse(json.RawMessage(`{"listen":"127.0.0.1:0","advertise":["203.0.113.7:7000"]}`))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	list := addresses(listener, advertised)
	if len(list) != 2 || list[0].String() != "203.0.113.7:7000" || !list[1].Addr().IsLoopback() {
		t.Errorf("addresses: %v", list)
	}
}

func configOf(options string) p2p.Config {
	return p2p.Config{Options: json.RawMessage(options), Log: hclog.NewNullLogger()}
}
