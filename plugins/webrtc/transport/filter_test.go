package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"

	"github.com/pion/stun"
)

// stunPacket makes a binding request with one attribute after padding to the size.
func stunPacket(size int, last []byte) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint16(b, 0x0001)
	binary.BigEndian.PutUint16(b[2:], uint16(size-stunHeader))
	binary.BigEndian.PutUint32(b[4:], stunCookie)
	if pad := size - stunHeader - len(last); pad >= 4 {
		binary.BigEndian.PutUint16(b[stunHeader:], 0x8022) // SOFTWARE
		binary.BigEndian.PutUint16(b[stunHeader+2:], uint16(pad-4))
	}
	copy(b[size-len(last):], last)
	return b
}

// The packet that ends a process which shows it to the library: 1,280 bytes, an empty XOR-MAPPED-ADDRESS at the end.
func killer() []byte { return stunPacket(1280, []byte{0x00, 0x20, 0x00, 0x00}) }

func TestKillerWouldKill(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the library reads it now: the filter may go")
		}
	}()
	m := &stun.Message{Raw: killer()}
	if err := m.Decode(); err != nil {
		t.Fatal(err)
	}
	var a stun.XORMappedAddress
	_ = a.GetFrom(m)
}

func TestWellFormed(t *testing.T) {
	good := stun.MustBuild(stun.TransactionID, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(1, 2, 3, 4), Port: 5},
		stun.NewUsername("a:b"), stun.NewShortTermIntegrity("pw"), stun.Fingerprint)
	for name, c := range map[string]struct {
		packet []byte
		want   bool
	}{
		"a good response":        {good.Raw, true},
		"DTLS":                   {[]byte{22, 254, 253, 0}, true},
		"nothing":                {nil, false},
		"media":                  {[]byte{0x80, 0, 0, 0}, false},
		"the killer":             {killer(), false},
		"a header cut off":       {good.Raw[:12], false},
		"cut in an attribute":    {good.Raw[:len(good.Raw)-4], false},
		"a length too long":      {stunPacket(40, []byte{0x80, 0x22, 0x00, 0x99}), false},
		"an address of 5 bytes":  {stunPacket(40, []byte{0, 1, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0}), false},
		"an address of no kind":  {stunPacket(40, []byte{0, 0x20, 0, 8, 0, 9, 0, 0, 0, 0, 0, 0}), false},
		"IPv6 in IPv4's length":  {stunPacket(40, []byte{0, 0x20, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0}), false},
		"an empty error code":    {stunPacket(24, []byte{0, 9, 0, 0}), false},
		"no attributes":          {stunPacket(20, nil), true},
		"TURN data to no client": {[]byte{0x40, 0, 0, 0}, false},
	} {
		if got := wellFormed(c.packet, false); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !wellFormed([]byte{0x40, 0, 0, 0}, true) {
		t.Error("TURN data to a client")
	}
}

// What the filter lets pass, the library must be able to read.
func FuzzWellFormed(f *testing.F) {
	f.Add(killer())
	f.Add(stunPacket(20, nil))
	f.Add(stunPacket(32, []byte{0, 0x20, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !wellFormed(b, true) || !stun.IsMessage(b) {
			return
		}
		m := &stun.Message{Raw: bytes.Clone(b)}
		if m.Decode() != nil {
			return
		}
		for _, get := range []stun.Getter{
			&stun.XORMappedAddress{}, &stun.MappedAddress{}, &stun.AlternateServer{}, &stun.OtherAddress{}, &stun.ResponseOrigin{},
			&stun.ErrorCodeAttribute{}, &stun.UnknownAttributes{}, &stun.Username{}, &stun.Realm{}, &stun.Nonce{}, &stun.Software{},
		} {
			_ = get.GetFrom(m)
		}
		for _, kind := range []stun.AttrType{stun.AttrXORPeerAddress, stun.AttrXORRelayedAddress} {
			_ = (&stun.XORMappedAddress{}).GetFromAs(m, kind)
		}
		_ = stun.Fingerprint.Check(m)
		_ = stun.NewShortTermIntegrity("x").Check(m)
	})
}

// Malformed packets on the port do not disturb a connection.
func TestMalformedPacketsDuringTraffic(t *testing.T) {
	a, b := connected(t)
	port := a.transport.socket.LocalAddr().(*net.UDPAddr).Port
	attacker, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = attacker.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for i := range 200 {
		for _, packet := range [][]byte{killer(), {0}, stunPacket(24, []byte{0, 9, 0, 0}), {0x80, 1, 2, 3}} {
			if _, err := attacker.Write(packet); err != nil {
				t.Fatal(err)
			}
		}
		frame := []byte{byte(i)}
		if err := a.Send(ctx, frame); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Recv(ctx); err != nil || !bytes.Equal(got, frame) {
			t.Fatalf("frame %d: %v, %v", i, got, err)
		}
	}
}
