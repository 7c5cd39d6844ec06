package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const fixedID = "o4kp5t3bkbmsgyywk3v2jb635cns2mbl"

const bob message.URL = "hyperty-runtime://example.com/r-bob"

func TestMaxPayloadIsTheCoresFrame(t *testing.T) {
	if MaxPayload != sdk.MaxFrame {
		t.Fatalf("MaxPayload is %d and the core's frames have up to %d bytes", MaxPayload, sdk.MaxFrame)
	}
}

func TestPacketRoundTrip(t *testing.T) {
	m := message.Message{ID: message.NumberID(7), Type: message.Create, From: bob, To: "hyperty://example.com/x",
		Body: json.RawMessage(`{"value":"` + strings.Repeat("v", 300) + `"}`)}
	var packet []byte
	packet = AppendMessage(packet, &m)
	packet = AppendGrease(packet)
	packet = AppendData(packet, bob, []byte("one"), nil, bytes.Repeat([]byte("3"), 200))
	packet = AppendUnreachable(packet, bob)

	kind, body, packet, err := Next(packet)
	if err != nil || kind != KindMessage {
		t.Fatalf("got kind %d, %v", kind, err)
	}
	got, err := ParseMessage(body)
	if err != nil || got.ID != m.ID || got.To != m.To || string(got.Body) != string(m.Body) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if kind, _, packet, err = Next(packet); err != nil || kind != kindGrease {
		t.Fatalf("got kind %d, %v", kind, err)
	}
	kind, body, packet, err = Next(packet)
	if err != nil || kind != KindData {
		t.Fatalf("got kind %d, %v", kind, err)
	}
	peer, payloads, err := ParseData(body)
	if err != nil || string(peer) != string(bob) {
		t.Fatalf("got peer %q, %v", peer, err)
	}
	var sizes []int
	for p := range payloads.All() {
		sizes = append(sizes, len(p))
	}
	if !slices.Equal(sizes, []int{3, 0, 200}) {
		t.Fatalf("payload sizes %v", sizes)
	}
	again := Readdress(nil, "hyperty-runtime://example.com/r-alice", payloads)
	_, body, _, _ = Next(again)
	if peer, p2, err := ParseData(body); err != nil || string(peer) != "hyperty-runtime://example.com/r-alice" || !bytes.Equal(p2, payloads) {
		t.Fatalf("readdressed: %q %v", peer, err)
	}
	kind, body, packet, err = Next(packet)
	if err != nil || kind != KindUnreachable || len(packet) != 0 {
		t.Fatalf("got kind %d, %v, rest %d", kind, err, len(packet))
	}
	if u, err := ParseUnreachable(body); err != nil || u != bob {
		t.Fatalf("got %s, %v", u, err)
	}
}

func TestProof(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	pub := key.Public().(ed25519.PublicKey)
	runtime := message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(pub))
	// The id of this key, written out so that a change of the derivation cannot pass unseen.
	if want := message.URL("hyperty-runtime://example.com/" + fixedID); runtime != want {
		t.Fatalf("runtime id %s, want %s", runtime, want)
	}
	c := NewChallenge("example.com")
	good := Proof{Runtime: runtime, Key: pub, Signature: ed25519.Sign(key, proof.MessageNode("example.com", runtime, c.Challenge))}
	if err := good.Check(c); err != nil {
		t.Fatal(err)
	}
	if !proof.KeyDerived(runtime) || proof.KeyDerived(bob) {
		t.Error("KeyDerived")
	}
	bad := map[string]func(*Proof){
		"other runtime":  func(p *Proof) { p.Runtime = bob },
		"a component":    func(p *Proof) { p.Runtime = runtime + "/sm" },
		"alias scheme":   func(p *Proof) { p.Runtime = runtime[len("hyperty-"):] },
		"no address":     func(p *Proof) { p.Runtime = "bob" },
		"short key":      func(p *Proof) { p.Key = p.Key[1:] },
		"no signature":   func(p *Proof) { p.Signature = nil },
		"another domain": func(p *Proof) { p.Signature = ed25519.Sign(key, proof.MessageNode("evil.com", runtime, c.Challenge)) },
		"older challenge": func(p *Proof) {
			p.Signature = ed25519.Sign(key, proof.MessageNode("example.com", runtime, make([]byte, 32)))
		},
	}
	for name, spoil := range bad {
		p := good
		spoil(&p)
		var r *Refused
		if err := p.Check(c); !errors.As(err, &r) || r.Code < 400 {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestHandshakeBounds(t *testing.T) {
	var c Challenge
	if err := ParseHandshake(bytes.Repeat([]byte(" "), MaxHandshake+1), &c); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	if err := ParseHandshake([]byte(`{"domain":1}`), &c); !errors.Is(err, ErrMalformed) {
		t.Errorf("wrong type: %v", err)
	}
	if err := ParseHandshake([]byte(`{"domain":"d","later":true}`), &c); err != nil || c.Domain != "d" {
		t.Errorf("unknown member: %v", err)
	}
}

// readAll reads a packet as a node or stub would.
func readAll(packet []byte) error {
	for len(packet) > 0 {
		kind, body, rest, err := Next(packet)
		if err != nil {
			return err
		}
		switch kind {
		case KindMessage:
			_, err = ParseMessage(body)
		case KindData:
			var payloads Payloads
			if _, payloads, err = ParseData(body); err == nil {
				n := 0
				for p := range payloads.All() {
					n += DataSize(len(p))
				}
				if n > len(body) {
					panic("payloads are longer than their frame")
				}
			}
		case KindUnreachable:
			_, err = ParseUnreachable(body)
		case KindChallenge:
			err = ParseHandshake(body, new(Challenge))
		case KindProof:
			var p Proof
			if err = ParseHandshake(body, &p); err == nil {
				err = p.Check(Challenge{Domain: "example.com"})
			}
		}
		if err != nil {
			return err
		}
		packet = rest
	}
	return nil
}

func TestMalformed(t *testing.T) {
	for _, packet := range [][]byte{
		{5},
		{5, 0xff},
		{5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		{5, 3, 1, 2},
		{6, 0},
		{6, 2, 9, 'x'},
		{6, 2, 1, 'x'},              // no payload
		{6, 4, 1, 'x', 5, 'y'},      // payload cut off
		{6, 4, 1, 'x', 0x80, 0x80},  // payload length cut off
		{7, 1, 'x'},                 // no address
		{5, 2, 0x18, 0x01},          // a message without addresses
		{5, 0xff, 0xff, 0xff, 0x7f}, // longer than a frame may be
	} {
		if err := readAll(packet); err == nil {
			t.Errorf("%v was accepted", packet)
		}
	}
}

func FuzzPacket(f *testing.F) {
	m := message.Message{ID: message.NumberID(1), Type: message.Update, From: bob, To: bob + "/sm", Body: json.RawMessage(`{"value":1}`)}
	f.Add(AppendData(AppendMessage(nil, &m), bob, []byte("a"), []byte("bc")))
	f.Add(AppendUnreachable(AppendGrease(nil), bob))
	f.Add(AppendHandshake(nil, KindChallenge, NewChallenge("example.com")))
	f.Add(AppendHandshake(nil, KindProof, Proof{Runtime: bob, Key: make([]byte, 32), Signature: make([]byte, 64)}))
	f.Add([]byte{6, 4, 1, 'x', 0xff, 0xff})
	f.Fuzz(func(t *testing.T, packet []byte) { _ = readAll(packet) })
}

func BenchmarkReaddress(b *testing.B) {
	frame := AppendData(nil, bob, bytes.Repeat([]byte("p"), 1024))
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		_, body, _, _ := Next(frame)
		_, payloads, err := ParseData(body)
		if err != nil {
			b.Fatal(err)
		}
		buf = Readdress(buf[:0], bob, payloads)
	}
}

func TestTokenDomain(t *testing.T) {
	for token, want := range map[string]string{
		"e30.eyJhdWQiOlsiYS5leGFtcGxlIl19.eA": "a.example",
		"e30.eyJhdWQiOiJiLmV4YW1wbGUifQ.eA":   "b.example",
		"e30.eyJhdWQiOlsiYSIsImIiXX0.eA":      "", // two
		"e30.e30.eA":                          "",
		"e30.x.eA":                            "",
		"":                                    "",
		strings.Repeat("e30.", MaxToken):      "",
	} {
		if got, ok := TokenDomain(token); got != want || ok != (want != "") {
			t.Errorf("%.60s: %q %v, want %q", token, got, ok, want)
		}
	}
}

func FuzzTokenDomain(f *testing.F) {
	f.Add("e30.eyJhdWQiOlsiYS5leGFtcGxlIl19.eA")
	f.Fuzz(func(t *testing.T, token string) {
		if domain, ok := TokenDomain(token); ok && (domain == "" || len(domain) > MaxToken) {
			t.Errorf("%q", domain)
		}
	})
}
