package transport

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/sdk/p2p"
)

// Foreign datagrams on the socket do not disturb connections and set-ups.
func TestGarbageDatagrams(t *testing.T) {
	a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	x, y := connected(t, a, b)
	ctx := within(t, patience)
	noise, err := net.Dial("udp", a.local.String())
	if err != nil {
		t.Fatal(err)
	}
	defer noise.Close()
	empty := append([]byte{1, 1, 4, 0xec, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 1272)...)
	copy(empty[1276:], []byte{0, 0x20, 0, 0}) // ends in an empty XOR-MAPPED-ADDRESS
	packets := [][]byte{{}, {0}, {0x3f}, encodePunch(token{}), encodePunch(newToken())[:19], empty, newTransaction().encodeRequest()}
	for i := range 400 {
		p := make([]byte, 1+i*3)
		_, _ = rand.Read(p)
		p[0] = byte(i)
		packets = append(packets, p)
	}
	for i, p := range packets {
		_, _ = noise.Write(p)
		if i%20 == 0 {
			if err := exchange(ctx, x, y, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, q := connected(t, a, b)
	if err := exchange(ctx, p, q, "new"); err != nil {
		t.Fatal(err)
	}
}

// dialRaw dials as a stranger that knows the protocol.
func dialRaw(t *testing.T, to *Transport) (*quic.Conn, error) {
	certificate, _, err := newCertificate()
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{alpn}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.local.Port())
	return quic.DialAddr(within(t, patience), at.String(), config, nil)
}

func TestStrangerIsRefusedBeforeTheHandshake(t *testing.T) {
	a := start(t, "")
	_, err := dialRaw(t, a)
	var refused *quic.TransportError
	if !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("%v, want a refusal", err)
	}
}

func TestStrangerIsRefusedWhileASetUpWaits(t *testing.T) {
	a := start(t, "")
	defer a.register(newToken(), &setup{role: p2p.Handler, peer: hash{7}, won: make(chan arrival, 1)})()
	conn, err := dialRaw(t, a)
	if err == nil { // a TLS 1.3 client's handshake is done before the server has checked the client's certificate
		_, err = conn.AcceptStream(within(t, patience))
		_ = conn.CloseWithError(0, "")
	}
	var refused *quic.TransportError
	if !errors.As(err, &refused) || !refused.Remote || !refused.ErrorCode.IsCryptoError() {
		t.Errorf("%v, want a TLS alert of the other side", err)
	}
}

// A peer that opens the stream but sends nothing is disconnected, and keeps no place.
func TestSilentKnockIsSentAway(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 5 s")
	}
	t.Parallel()
	a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	name := newToken()
	defer b.register(name, &setup{role: p2p.Handler, peer: a.hash, won: make(chan arrival, 1)})()
	conn, err := a.quic.Dial(within(t, patience), net.UDPAddrFromAddrPort(b.local), a.clientTLS(b.hash, name), a.alive.connectionConfig(dialTimeout, -1))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = stream.Write([]byte("half a"))
	_, err = stream.Read(make([]byte, 1))
	var refused *quic.ApplicationError
	if !errors.As(err, &refused) || refused.ErrorCode != codeUnknown {
		t.Errorf("%v, want code %d", err, codeUnknown)
	}
	if errors.Is(err, io.EOF) {
		t.Error("that looks like a regular end")
	}
}
