package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
)

// The unchanged library, with its own sockets, is an ordinary peer in both roles.
func TestOtherMake(t *testing.T) {
	for name, role := range map[string]p2p.Role{"it offers": p2p.Handler, "it answers": p2p.Requester} {
		t.Run(name, func(t *testing.T) {
			c, end := meets(t, transportFor(t), role)
			stream := <-end.stream
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := c.Send(ctx, []byte("there")); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			if n, err := stream.Read(b); err != nil || string(b[:n]) != string(framed("there")) {
				t.Fatalf("%q, %v", b[:n], err)
			}
			if _, err := stream.Write(framed("back")); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Recv(ctx); err != nil || string(got) != "back" {
				t.Fatalf("%q, %v", got, err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			for {
				if _, err := stream.Read(b); err != nil {
					break
				}
			}
		})
	}
}

// broken waits until a channel has ended with an error that says that its peer broke the protocol.
func broken(t *testing.T, c p2p.Channel, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	select {
	case <-c.(*channel).done:
	case <-ctx.Done():
		t.Fatalf("the connection lives; want its end for: %s", want)
	}
	if _, err := c.Recv(ctx); err == nil || !strings.Contains(err.Error(), "the peer broke the protocol") || !strings.Contains(err.Error(), want) {
		t.Fatalf("the channel says: %v; want: %s", err, want)
	}
}

// A peer that opens further data channels, which nobody would read, or other kinds of them, loses its connection.
func TestOtherChannels(t *testing.T) {
	no, yes, zero, spare := false, true, uint16(0), uint16(100)
	for name, options := range map[string]*webrtc.DataChannelInit{
		"another": nil, "unordered": {Ordered: &no}, "unreliable": {MaxRetransmits: &zero},
		"agreed on before": {Negotiated: &yes, ID: &spare},
	} {
		t.Run(name, func(t *testing.T) {
			c, end := meets(t, transportFor(t), p2p.Handler)
			<-end.stream
			dc, err := end.pc.CreateDataChannel(label, options)
			if err != nil {
				t.Fatal(err)
			}
			end.await(dc)
			stream := <-end.stream
			_, _ = stream.Write([]byte("x"))
			broken(t, c, "") // unordered data may come before what opens its channel
		})
	}
}

// The first data channel must be the one that the specification names.
func TestFirstChannel(t *testing.T) {
	no, zero, name := false, uint16(0), "spoken"
	for want, change := range map[string]struct {
		label   string
		options *webrtc.DataChannelInit
	}{
		`"other"`:              {"other", nil},
		`"spoken"`:             {label, &webrtc.DataChannelInit{Protocol: &name}},
		"ordered and reliable": {label, &webrtc.DataChannelInit{Ordered: &no}},
		"not ordered":          {label, &webrtc.DataChannelInit{MaxRetransmits: &zero}},
		`"xxxxxxxx`:            {strings.Repeat("x", 2000), nil},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			end := newBareEnd(t)
			dc, err := end.pc.CreateDataChannel(change.label, change.options)
			if err != nil {
				t.Fatal(err)
			}
			end.await(dc)
			offer, err := end.pc.CreateOffer(nil)
			gathered := webrtc.GatheringCompletePromise(end.pc)
			if err = errors.Join(err, end.pc.SetLocalDescription(offer)); err != nil {
				t.Fatal(err)
			}
			<-gathered
			s := &scripted{come: []p2p.Signal{describe(string(encodeDescription("offer", end.pc.LocalDescription().SDP, "")))}}
			s.noted = func(sig p2p.Signal) {
				var c webrtc.ICECandidateInit
				if sig.Kind == p2p.Candidate {
					_ = json.Unmarshal(sig.Value, &c)
					_ = end.pc.AddICECandidate(c)
					return
				}
				var said struct{ SDP string }
				_ = json.Unmarshal(sig.Value, &said)
				if err := end.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: said.SDP}); err != nil {
					t.Error(err)
				}
			}
			refused(t, transportFor(t), p2p.Handler, s, want)
		})
	}
}

// flood writes messages to a stream until the channel on the other side has ended, and returns how many.
func flood(t *testing.T, c p2p.Channel, stream *datachannel.DataChannel, text []byte) (sent int) {
	t.Helper()
	stream.SetBufferedAmountLowThreshold(16 << 10)
	drained := make(chan struct{}, 1)
	stream.OnBufferedAmountLow(func() {
		select {
		case drained <- struct{}{}:
		default:
		}
	})
	for ; sent < 4<<20; sent++ {
		if stream.BufferedAmount() > 64<<10 {
			select {
			case <-drained:
			case <-c.(*channel).done:
			case <-time.After(patience):
				t.Fatalf("nothing moves after %d messages", sent)
			}
		}
		if _, err := stream.Write(text); err != nil {
			return sent
		}
		select {
		case <-c.(*channel).done:
			return sent
		default:
		}
	}
	t.Fatalf("%d messages are kept", sent)
	return sent
}

// maxGrowth bounds what all counted bytes leave in memory: here with what the sender keeps, and under the race detector.
const maxGrowth = 100 << 20

// Messages count, not only their bytes: a peer that sends small unread messages does not fill the memory.
func TestTinyMessages(t *testing.T) {
	c, end := meets(t, transportFor(t), p2p.Handler)
	grown := heap(t)
	sent := flood(t, c, <-end.stream, []byte("x"))
	broken(t, c, "were not read")
	if n := grown(); n > maxGrowth {
		t.Errorf("%d MiB of %d messages", n>>20, sent)
	} else {
		t.Logf("%d messages, %d MiB", sent, n>>20)
	}
}

// A second data channel that is opened together with the first one is not accepted, in either role.
func TestChannelsTogether(t *testing.T) {
	for name, role := range map[string]p2p.Role{"it offers": p2p.Handler, "it answers": p2p.Requester} {
		t.Run(name, func(t *testing.T) {
			end := newBareEnd(t)
			for range 10 {
				if _, err := end.pc.CreateDataChannel(label, nil); err != nil {
					t.Fatal(err)
				}
			}
			c, err := tries(t, transportFor(t), role, end)
			if err == nil {
				broken(t, c, "second data channel")
			} else if !strings.Contains(err.Error(), errSecondChannel.Error()) {
				t.Error(err)
			}
		})
	}
}

// A text message breaks the protocol: all frames are binary.
func TestText(t *testing.T) {
	c, end := meets(t, transportFor(t), p2p.Requester)
	stream := <-end.stream
	if _, err := stream.WriteDataChannel([]byte("hello"), true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Recv(ctx); err == nil {
		t.Fatal("a frame of a text")
	}
	broken(t, c, "text")
}

// victim counts the packets that come to addresses of this machine that never answer.
type victim struct {
	sockets []*net.UDPConn
	came    atomic.Int32
	readers sync.WaitGroup
}

func newVictim(t *testing.T, ports int) *victim {
	v := &victim{}
	for range ports {
		socket := outside(t)
		v.sockets = append(v.sockets, socket)
		v.readers.Go(func() {
			for b := make([]byte, 2000); ; v.came.Add(1) {
				if _, err := socket.Read(b); err != nil {
					return
				}
			}
		})
	}
	return v
}

// count ends the victim and returns the number.
func (v *victim) count() int {
	for _, socket := range v.sockets {
		_ = socket.Close()
	}
	v.readers.Wait()
	return int(v.came.Load())
}

// candidateOf writes a candidate at the socket's address.
func candidateOf(c *net.UDPConn, i int) string {
	at := c.LocalAddr().(*net.UDPAddr)
	return fmt.Sprintf("candidate:%d 1 udp %d %s %d typ host", i, 1000+i, at.IP, at.Port)
}

// Whatever addresses a peer names, in its description and after it, few packets go there, and none to addresses that the
// operator excludes.
func TestNamedAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options string
		most    int
	}{
		"loopback is allowed":  {`{"listen":"127.0.0.1:0"}`, limits().Remote.Datagrams},
		"loopback is excluded": {`{"loopback":false}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, err := open(p2p.Config{Options: json.RawMessage(c.options)}, usualLiveness())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tr.Close() }()
			v := newVictim(t, 64)
			sdp := realOffer(t)
			for i := range 200 {
				sdp += "a=" + candidateOf(v.sockets[i%len(v.sockets)], i) + "\r\n"
			}
			s := &scripted{come: []p2p.Signal{describe(string(encodeDescription("offer", sdp, "")))}}
			for i := range maxCandidates {
				raw, err := json.Marshal(map[string]string{"candidate": candidateOf(v.sockets[i%len(v.sockets)], 1000+i)})
				if err != nil {
					t.Fatal(err)
				}
				s.come = append(s.come, p2p.Signal{Kind: p2p.Candidate, Value: raw})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			if _, err := tr.Connect(ctx, p2p.Peer{Local: alice, Remote: bob, Role: p2p.Handler}, s); err == nil {
				t.Error("connected with nobody")
			}
			if n := v.count(); n > c.most || n == 0 && c.most > 0 {
				t.Errorf("%d packets, at most %d", n, c.most)
			}
		})
	}
}

// A peer that names the address of another connection's peer as its own does not interrupt that connection.
func TestNamedAddressOfAnother(t *testing.T) {
	t.Parallel()
	a, b := connected(t, `{"listen":"127.0.0.1:0"}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	peer := b.transport.socket
	sdp := realOffer(t) + "a=" + candidateOf(peer, 1) + "\r\n"
	s := &scripted{come: []p2p.Signal{describe(string(encodeDescription("offer", sdp, "")))}}
	attack, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	var strangers sync.WaitGroup
	defer strangers.Wait()
	for i := range 100 {
		s := &scripted{come: slices.Clone(s.come)}
		strangers.Go(func() {
			peer := p2p.Peer{Local: alice, Remote: bob.Join(fmt.Sprint("mallory", i)), Role: p2p.Handler}
			if c, err := a.transport.Connect(attack, peer, s); err == nil {
				_ = c.Close()
			}
		})
	}
	frames := 0
	for ; attack.Err() == nil; frames++ {
		carry(ctx, t, a, b, []byte("there"))
		carry(ctx, t, b, a, []byte("back"))
	}
	if frames < 20 {
		t.Errorf("%d frames each way in 2 s", frames)
	}
}
