package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/turn/v2"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

func itoa(n int) string { return strconv.Itoa(n) }

// patience bounds what should happen at once: a busy machine takes its time.
const patience = 30 * time.Second

// wire is one side's signals in memory.
type wire struct{ out, in chan p2p.Signal }

func (w wire) Send(ctx context.Context, s p2p.Signal) error {
	select {
	case w.out <- s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w wire) Recv(ctx context.Context) (p2p.Signal, error) {
	select {
	case s := <-w.in:
		return s, nil
	case <-ctx.Done():
		return p2p.Signal{}, ctx.Err()
	}
}

const (
	alice message.URL = "hyperty-runtime://example.com/alice"
	bob   message.URL = "hyperty-runtime://example.com/bob"
)

// connected is a channel between two transports with the options.
func connected(t testing.TB, options ...string) (a, b *channel) {
	t.Helper()
	var ends [2]*Transport
	for i := range ends {
		var raw json.RawMessage
		if len(options) > 0 {
			raw = json.RawMessage(options[i%len(options)])
		}
		tr, err := open(p2p.Config{Options: raw}, usualLiveness())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
		})
		ends[i] = tr
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	there, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
	type result struct {
		c   p2p.Channel
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := ends[1].Connect(ctx, p2p.Peer{Local: bob, Remote: alice, Role: p2p.Handler}, wire{back, there})
		done <- result{c, err}
	}()
	c, err := ends[0].Connect(ctx, p2p.Peer{Local: alice, Remote: bob, Role: p2p.Requester}, wire{there, back})
	other := <-done
	if err != nil || other.err != nil {
		t.Fatalf("requester: %v; handler: %v", err, other.err)
	}
	return c.(*channel), other.c.(*channel)
}

func TestOptions(t *testing.T) {
	for _, raw := range []string{
		`[]`, `{"listn":":0"}`, `{"listen":"nowhere"}`, `{"listen":7}`, `{} {}`, `{"ice_servers":[{"urls":["http://x"]}]}`,
		`{"ice_servers":[{"urls":["turn:127.0.0.1:3478"]}]}`, `{"relay_only":true}`, `{"interfaces":["["]}`, `{"ice_servers":[{}]}`,
	} {
		if _, err := parseOptions(json.RawMessage(raw)); err == nil || !strings.HasPrefix(err.Error(), "webrtc options: ") {
			t.Errorf("%s: %v", raw, err)
		}
	}
	s, err := parseOptions(json.RawMessage(`{"listen":"127.0.0.1:0","ice_servers":[{"urls":["stun:127.0.0.1:3478"]}],"loopback":false}`))
	if err != nil || s.loopback || !s.private || len(s.servers) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parseOptions(json.RawMessage(`{"private":false}`)); err != nil || s.private || !s.loopback {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := open(p2p.Config{Options: json.RawMessage(`{"listen":"192.0.2.1:9"}`)}, usualLiveness()); err == nil || !strings.Contains(err.Error(), "192.0.2.1:9") {
		t.Errorf("an address that is not this machine's: %v", err)
	}
}

// A connection through a TURN server only.
func TestTURN(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	key := turn.GenerateAuthKey("user", "example.com", "secret")
	var asked atomic.Int32
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: "example.com",
		AuthHandler: func(name, _ string, _ net.Addr) ([]byte, bool) {
			asked.Add(1)
			return key, name == "user"
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            socket,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	a, b := connected(t, `{"relay_only":true,"ice_servers":[{"urls":["turn:`+socket.LocalAddr().String()+`?transport=udp"],"username":"user","credential":"secret"}]}`)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.Send(ctx, []byte("over the relay")); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Recv(ctx); err != nil || string(got) != "over the relay" {
		t.Fatalf("%q, %v", got, err)
	}
	if asked.Load() == 0 {
		t.Error("nobody asked the TURN server")
	}
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(`{"transport":"webrtc","type":"offer","sdp":"v=0"}`))
	f.Add([]byte(`{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host","sdpMLineIndex":0}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if d, err := parseDescription(raw, webrtc.SDPTypeOffer); err == nil && (d.ufrag == "" || len(d.socket) > 64) {
			t.Fatalf("%+v", d)
		}
		if c, err := parseCandidate(raw); err == nil {
			readable(t, c)
		}
	})
}

// Frames around the sizes at which a channel's buffer grows or shrinks arrive whole, in traffic and after a pause.
func TestFramesWhileRoomFollowsTraffic(t *testing.T) {
	a, b := connected(t, `{"listen":"127.0.0.1:0"}`)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	frame := make([]byte, 3*maxMessage)
	for i := range frame {
		frame[i] = byte(i * 7)
	}
	sizes := []int{1, 1<<10 - lengthSize, 1<<10 - lengthSize + 1, maxMessage, 3 * maxMessage, 100}
	for range 2 {
		for _, size := range sizes {
			carry(ctx, t, a, b, frame[:size])
		}
		for range 70 {
			carry(ctx, t, a, b, frame[:50])
		}
	}
}

// Close ends the channel at once: frames that have not left are lost, which the other side does not report as a fault.
func TestCloseInTheMiddleOfAFrameIsEOF(t *testing.T) {
	a, b := connected(t, `{"listen":"127.0.0.1:0"}`)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	raw := append(binary.BigEndian.AppendUint32(nil, 2), "hi"...)
	raw = append(binary.BigEndian.AppendUint32(raw, 1000), "a first part"...)
	if _, err := a.conn.Write(raw); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Recv(ctx); err != nil || string(got) != "hi" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Recv(ctx); err != io.EOF {
		t.Errorf("%v, want io.EOF", err)
	}
}

// A Send whose context ends in the middle of a large frame leaves more than one message: the next Send sends them first.
func TestSendGoesOnAfterItsContext(t *testing.T) {
	a, b := connected(t, `{"listen":"127.0.0.1:0"}`)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	frame := bytes.Repeat([]byte("x"), 500_000)
	whole := 0
	for { // nobody receives: it blocks before long
		short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		err := a.Send(short, frame)
		stop()
		whole++
		if err != nil {
			break
		}
	}
	sent := make(chan error, 1)
	go func() { sent <- a.Send(ctx, []byte("next")) }()
	for range whole {
		if got, err := b.Recv(ctx); err != nil || !bytes.Equal(got, frame) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if got, err := b.Recv(ctx); err != nil || string(got) != "next" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func carry(ctx context.Context, t *testing.T, from, to *channel, frame []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- from.Send(ctx, frame) }()
	got, err := to.Recv(ctx)
	if other := <-sent; err != nil || other != nil || !bytes.Equal(got, frame) {
		t.Fatalf("%d of %d bytes, or others; %v, %v", len(got), len(frame), err, other)
	}
}
