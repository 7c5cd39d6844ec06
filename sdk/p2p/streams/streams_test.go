package streams

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/udp/reach"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onTCP is a transport on this machine alone. Its conformance is tested in examples/transport-tcp.
func onTCP(t *testing.T, policy reach.Policy) *Transport {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := New(Network{Name: "tcp", Listener: listener, Policy: policy, Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", to.String())
	}})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func FuzzDescription(f *testing.F) {
	for _, seed := range []string{`{}`, `{"transport":"tcp","certificate":"` + hashOf(nil) + `","name":"x"}`, `{"transport":7}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := parseDescription("tcp", text)
		if err == nil && (d.Transport != "tcp" || len(d.Certificate) != 64 || !json.Valid(text)) {
			t.Errorf("%q is taken as %+v", text, d)
		}
	})
}
