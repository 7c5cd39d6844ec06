package networks_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/networks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t testing.TB, names ...string) networks.Allowed {
	t.Helper()
	a, err := networks.Parse(names)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCheck(t *testing.T) {
	public := strings.Fields("8.8.8.8 1.1.1.1 ::ffff:8.8.8.8 2606:4700::1111 64:ff9b::808:808 172.32.0.1 100.128.0.1")
	private := strings.Fields("10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 ::ffff:10.0.0.1 fd00::1 fc00::1 64:ff9b::a00:1")
	loopback := strings.Fields("127.0.0.1 127.255.0.1 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1")
	never := strings.Fields("0.0.0.0 :: 0.1.2.3 169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe fe80::1 fe80::1%eth0 100.64.0.1 100.127.0.1 " +
		"224.0.0.1 239.1.2.3 ff02::1 ff0e::1 255.255.255.255 240.0.0.1 192.0.0.8 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.7 " +
		"2001:db8::1 2002:7f00:1:: 2001::1 2001:0:7f00:1:: ::7f00:1 ::127.0.0.1 fec0::1 100::1 64:ff9b:1::1 3fff::1 5f00::1 ::ffff:0:127.0.0.1")
	for _, c := range []struct {
		allowed networks.Allowed
		yes     [][]string
	}{
		{networks.Allowed{}, nil},
		{parse(t), nil},
		{parse(t, "public"), [][]string{public}},
		{parse(t, "private"), [][]string{private}},
		{parse(t, "loopback"), [][]string{loopback}},
		{parse(t, "public", "private", "loopback"), [][]string{public, private, loopback}},
		{parse(t, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"), [][]string{private}},
		{parse(t, "127.0.0.0/8", "::1"), [][]string{loopback}},
	} {
		yes := slices.Concat(c.yes...)
		for _, text := range slices.Concat(public, private, loopback, never) {
			err := c.allowed.Check(netip.MustParseAddr(text))
			if want := slices.Contains(yes, text); (err == nil) != want || err != nil && !errors.Is(err, networks.ErrRefused) {
				t.Errorf("%s allows %s: %v, want %v", c.allowed, text, err, want)
			}
		}
		if c.allowed.Check(netip.Addr{}) == nil {
			t.Errorf("%s allows no address", c.allowed)
		}
	}
	if err := parse(t, "169.254.0.0/16").Check(netip.MustParseAddr("169.254.1.1")); err != nil {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"", "any", "all", "10.0.0.0/33", "10.0.0.1/8", "example.com", "::ffff:10.0.0.0/104", "fe80::1%eth0", "Public", "10.0.0.0/8 "} {
		if _, err := networks.Parse([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := networks.Parse(make([]string, 5000)); err == nil {
		t.Error("a long list was taken")
	}
	var back networks.Allowed
	text, err := json.Marshal(parse(t, "public", "10.0.0.0/8"))
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || string(text) != `["public","10.0.0.0/8"]` || back.Check(netip.MustParseAddr("10.1.1.1")) != nil || back.Loopback() {
		t.Errorf("%s %v %v", text, back, err)
	}
	if text, err := json.Marshal(networks.Allowed{}); err != nil || string(text) != "[]" {
		t.Errorf("%s %v", text, err)
	}
}

// A dialer with Control connects to allowed addresses, and sends nothing to others, whatever a name resolves to.
func TestControl(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1"} {
		d := net.Dialer{Control: parse(t, "public", "private").Control}
		if c, err := d.DialContext(context.Background(), "tcp", net.JoinHostPort(host, port)); !errors.Is(err, networks.ErrRefused) {
			t.Errorf("%s: %v %v", host, c, err)
		}
	}
	d := net.Dialer{Control: parse(t, "loopback").Control}
	c, err := d.DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := parse(t, "loopback").Control("unix", "/tmp/x", nil); !errors.Is(err, networks.ErrRefused) {
		t.Error(err)
	}
}

// FuzzAllowed: an address that is in a private, local or special network never counts as public, in whatever form it is
// written.
func FuzzAllowed(f *testing.F) {
	for _, seed := range []string{"public", "10.0.0.0/8", "::/0", "1.2.3.4", "fe80::1%1"} {
		f.Add(seed, []byte{127, 0, 0, 1})
		f.Add(seed, make([]byte, 16))
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		if a, err := networks.Parse([]string{name}); err == nil && len(a.Names()) != 1 {
			t.Fatal(a)
		}
		ip, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		public, _ := networks.Parse([]string{"public"})
		if bare := ip.Unmap(); public.Check(ip) == nil &&
			(bare.IsLoopback() || bare.IsPrivate() || bare.IsLinkLocalUnicast() || bare.IsMulticast() || bare.IsUnspecified()) {
			t.Fatal(ip)
		}
	})
}
