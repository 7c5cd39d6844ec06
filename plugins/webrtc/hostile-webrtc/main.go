// Hostile-webrtc is a P2P plug-in that breaks the protocol. It is for tests alone. It has the name of the WebRTC plug-in, connects
// as that does, carries frames for a while, and then opens a second data channel, which no honest peer does.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/ice/v2"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

const (
	label   = "P2PChannel"
	largest = 64 << 10 // bytes of a message
	behaves = time.Second
)

func main() {
	sdk.Serve(sdk.Descriptor{
		Name: "webrtc", Version: "0.0.0-hostile", Kind: sdk.KindP2P,
		About: "WRITTEN TO CHEAT, for tests: breaks the protocol towards its peers",
	}, p2p.Stub(func(p2p.Config) (p2p.Transport, error) { return transport{}, nil }))
}

// transport is the library's connections, each with a socket of its own.
type transport struct{}

func (transport) Close() error { return nil }

func (transport) Connect(ctx context.Context, peer p2p.Peer, signals p2p.Signals) (p2p.Channel, error) {
	e, err := newEnd()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := make(chan error, 1)
	go func() { said <- e.signal(ctx, peer.Role, signals) }()
	select {
	case stream := <-e.stream:
		cancel()
		<-said // signals must not be used after Connect has returned
		breaks := time.AfterFunc(behaves, func() { _, _ = e.pc.CreateDataChannel("another", nil) })
		return &channel{e, stream, bufio.NewReaderSize(stream, 2*largest), breaks}, nil
	case err = <-said:
	case <-ctx.Done():
		err = ctx.Err()
		<-said
	}
	e.close()
	return nil, err
}

// end is one end of a connection.
type end struct {
	pc     *webrtc.PeerConnection
	mux    ice.UDPMux
	socket net.PacketConn
	stream chan *datachannel.DataChannel
}

func newEnd() (*end, error) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	var s webrtc.SettingEngine
	s.DetachDataChannels()
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e := &end{mux: webrtc.NewICEUDPMux(nil, socket), socket: socket, stream: make(chan *datachannel.DataChannel, 1)}
	s.SetICEUDPMux(e.mux)
	if e.pc, err = webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{}); err != nil {
		return nil, errors.Join(err, e.mux.Close(), socket.Close())
	}
	return e, nil
}

func (e *end) close() {
	_ = e.pc.GracefulClose()
	_ = e.mux.Close()
	_ = e.socket.Close()
}

func (e *end) await(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		if raw, err := dc.Detach(); err == nil {
			select {
			case e.stream <- raw.(*datachannel.DataChannel):
			default:
			}
		}
	})
}

// signal is one side's signalling. Its candidates are in its description.
func (e *end) signal(ctx context.Context, role p2p.Role, signals p2p.Signals) error {
	describe := func(d webrtc.SessionDescription, err error) error {
		gathered := webrtc.GatheringCompletePromise(e.pc)
		if err = errors.Join(err, e.pc.SetLocalDescription(d)); err != nil {
			return err
		}
		<-gathered
		d = *e.pc.LocalDescription()
		raw, err := json.Marshal(map[string]string{"transport": "webrtc", "type": d.Type.String(), "sdp": d.SDP})
		return errors.Join(err, signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: raw}))
	}
	if role == p2p.Requester {
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
		signal, err := signals.Recv(ctx)
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
		if role == p2p.Handler {
			if err := describe(e.pc.CreateAnswer(nil)); err != nil {
				return err
			}
		}
	}
}

// channel carries frames, each behind its length.
type channel struct {
	*end
	stream *datachannel.DataChannel
	in     *bufio.Reader
	breaks *time.Timer
}

func (c *channel) Send(_ context.Context, frames ...[]byte) error {
	for _, frame := range frames {
		rest := append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
		for len(rest) > 0 {
			n := min(len(rest), largest)
			if _, err := c.stream.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

func (c *channel) Recv(ctx context.Context) ([]byte, error) {
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > sdk.MaxFrame {
		return nil, errors.New("a frame that is too large")
	}
	frame := make([]byte, 0, n)
	for part := make([]byte, 2*largest); len(frame) < int(n); { // a read must have room for a whole message
		got, err := c.in.Read(part[:min(len(part), int(n)-len(frame))])
		if err != nil {
			return nil, err
		}
		frame = append(frame, part[:got]...)
	}
	return frame, nil
}

func (c *channel) Close() error {
	c.breaks.Stop()
	c.close()
	return nil
}
