package transport

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/pion/datachannel"
	"github.com/pion/ice/v2"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
)

// bareEnd is the unchanged library, with the settings that a program without this package would choose: one socket with our
// buffers, and detached channels.
type bareEnd struct {
	pc     *webrtc.PeerConnection
	stream chan *datachannel.DataChannel
}

func newBareEnd(b testing.TB) *bareEnd {
	b.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	_ = socket.SetReadBuffer(socketBuffer)
	_ = socket.SetWriteBuffer(socketBuffer)
	return newBareEndOn(b, socket)
}

// newBareEndOn is newBareEnd with a socket, which it closes.
func newBareEndOn(b testing.TB, socket net.PacketConn) *bareEnd {
	b.Helper()
	var e webrtc.SettingEngine
	e.LoggerFactory = logFactory{hclog.NewNullLogger()}
	e.DetachDataChannels()
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetSCTPMaxReceiveBufferSize(receiveBuffer)
	mux := webrtc.NewICEUDPMux(nil, socket)
	e.SetICEUDPMux(mux)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = pc.GracefulClose()
		_ = mux.Close()
		_ = socket.Close()
	})
	return &bareEnd{pc: pc, stream: make(chan *datachannel.DataChannel, 1)}
}

func (e *bareEnd) await(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		if raw, err := dc.Detach(); err == nil {
			e.stream <- raw.(*datachannel.DataChannel)
		}
	})
}

// barePair is the two ends of one ordered reliable channel.
func barePair(b testing.TB) (from, to *datachannel.DataChannel) {
	b.Helper()
	x, y := newBareEnd(b), newBareEnd(b)
	y.pc.OnDataChannel(y.await)
	dc, err := x.pc.CreateDataChannel(label, nil)
	if err != nil {
		b.Fatal(err)
	}
	x.await(dc)
	describe := func(at, other *bareEnd, d webrtc.SessionDescription, err error) {
		gathered := webrtc.GatheringCompletePromise(at.pc)
		if err = errors.Join(err, at.pc.SetLocalDescription(d)); err != nil {
			b.Fatal(err)
		}
		<-gathered
		if err := other.pc.SetRemoteDescription(*at.pc.LocalDescription()); err != nil {
			b.Fatal(err)
		}
	}
	offer, err := x.pc.CreateOffer(nil)
	describe(x, y, offer, err)
	answer, err := y.pc.CreateAnswer(nil)
	describe(y, x, answer, err)
	return <-x.stream, <-y.stream
}

// The library alone, with one message for each frame, to compare BenchmarkChannel with.
func BenchmarkBareChannel(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) { bareOneWay(b, size) })
	}
}

// largest is the largest message that the library carries between any two ends.
const largest = 64 << 10

func bareOneWay(b *testing.B, size int) {
	from, to := barePair(b)
	drained := make(chan struct{}, 1)
	from.SetBufferedAmountLowThreshold(lowWater)
	from.OnBufferedAmountLow(func() {
		select {
		case drained <- struct{}{}:
		default:
		}
	})
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	sent := make(chan error, 1)
	go func() {
		frame := make([]byte, size)
		for range b.N {
			for rest := frame; len(rest) > 0; rest = rest[min(len(rest), largest):] {
				for from.BufferedAmount() > highWater {
					<-drained
				}
				if _, err := from.Write(rest[:min(len(rest), largest)]); err != nil {
					sent <- err
					return
				}
			}
		}
		sent <- nil
	}()
	buffer := make([]byte, largest)
	for left := b.N * size; left > 0; {
		n, err := to.Read(buffer)
		if err != nil {
			b.Fatal(err, <-sent)
		}
		left -= n
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
}

// meets sets up a connection between a transport and the unchanged library: an honest peer of another implementation, or an
// attacker with the right to connect. Its candidates are in its description.
func meets(t *testing.T, tr *Transport, role p2p.Role) (p2p.Channel, *bareEnd) {
	t.Helper()
	end := newBareEnd(t)
	return meetsAt(t, tr, role, end), end
}

// meetsAt is meets with a given other side.
func meetsAt(t *testing.T, tr *Transport, role p2p.Role, end *bareEnd) p2p.Channel {
	t.Helper()
	c, err := tries(t, tr, role, end)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tries is meetsAt with a set-up that may fail.
func tries(t *testing.T, tr *Transport, role p2p.Role, end *bareEnd) (p2p.Channel, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	there, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
	done := make(chan error, 1)
	go func() { done <- end.signal(ctx, role, wire{there, back}) }()
	c, err := tr.Connect(ctx, p2p.Peer{Local: alice, Remote: bob, Role: role}, wire{back, there})
	cancel()
	if other := <-done; other != nil && !errors.Is(other, context.Canceled) {
		t.Errorf("the other side: %v", other)
	}
	return c, err
}

// signal is the signalling of this side, toward a transport in the role.
func (e *bareEnd) signal(ctx context.Context, role p2p.Role, s p2p.Signals) error {
	describe := func(d webrtc.SessionDescription, err error) error {
		gathered := webrtc.GatheringCompletePromise(e.pc)
		if err = errors.Join(err, e.pc.SetLocalDescription(d)); err != nil {
			return err
		}
		<-gathered
		d = *e.pc.LocalDescription()
		raw, err := json.Marshal(map[string]string{"type": d.Type.String(), "sdp": d.SDP})
		return errors.Join(err, s.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: raw}))
	}
	if role == p2p.Handler {
		dc, err := e.pc.CreateDataChannel(label, nil)
		if err != nil {
			return err
		}
		e.await(dc)
		if err := describe(e.pc.CreateOffer(nil)); err != nil {
			return err
		}
	} else {
		e.pc.OnDataChannel(e.await)
	}
	for {
		signal, err := s.Recv(ctx)
		if err != nil {
			return err
		}
		if signal.Kind == p2p.Candidate {
			var c webrtc.ICECandidateInit
			if err := errors.Join(json.Unmarshal(signal.Value, &c), e.pc.AddICECandidate(c)); err != nil {
				return err
			}
			continue
		}
		var said struct{ Type, SDP string }
		if err := json.Unmarshal(signal.Value, &said); err != nil {
			return err
		}
		if err := e.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.NewSDPType(said.Type), SDP: said.SDP}); err != nil {
			return err
		}
		if role == p2p.Requester {
			if err := describe(e.pc.CreateAnswer(nil)); err != nil {
				return err
			}
		}
	}
}

// framed is a frame as it is on the stream.
func framed(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}
