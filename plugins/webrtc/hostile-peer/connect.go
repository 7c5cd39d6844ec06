package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pion/datachannel"
	"github.com/pion/ice/v2"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/plugins/internal/hostilepeer"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// flooder is a transport that connects as Requester, with the unchanged library. Its connections attack, each with the next kind
// of attack.
type flooder struct {
	p2p.Transport
	hostilepeer.Options
	live atomic.Uint64 // number of connections that were live
}

// Connect sets up one connection as an honest peer does.
func (f *flooder) Connect(ctx context.Context, peer p2p.Peer, s p2p.Signals) (p2p.Channel, error) {
	if peer.Role != p2p.Requester {
		return nil, errors.New("hostile-peer: it attacks, and is not attacked")
	}
	silent := logging.NewDefaultLoggerFactory()
	silent.DefaultLogLevel = logging.LogLevelDisabled
	e := webrtc.SettingEngine{LoggerFactory: silent}
	e.DetachDataChannels()
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	over, end := context.WithCancel(context.Background())
	pc.SCTP().OnClose(func(error) { end() })
	opened := make(chan *datachannel.DataChannel, 1)
	signalling, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	failed := make(chan error, 1)
	work.Go(func() { failed <- signal(signalling, pc, s, opened) })
	select {
	case stream := <-opened:
		return &channel{f: f, pc: pc, stream: stream, over: over}, nil
	case err = <-failed:
	case <-over.Done():
		err = errors.New("hostile-peer: the peer has ended it")
	case <-ctx.Done():
		err = ctx.Err()
	}
	end()
	return nil, errors.Join(err, pc.Close())
}

// signal sends the offer, and receives the answer and the candidates.
func signal(ctx context.Context, pc *webrtc.PeerConnection, s p2p.Signals, opened chan<- *datachannel.DataChannel) error {
	dc, err := pc.CreateDataChannel(label, nil)
	if err != nil {
		return err
	}
	dc.OnOpen(func() {
		if raw, err := dc.Detach(); err == nil {
			opened <- raw.(*datachannel.DataChannel)
		}
	})
	offer, err := pc.CreateOffer(nil)
	gathered := webrtc.GatheringCompletePromise(pc)
	if err = errors.Join(err, pc.SetLocalDescription(offer)); err != nil {
		return err
	}
	<-gathered
	value := message.Encode(map[string]string{"transport": "webrtc", "type": "offer", "sdp": pc.LocalDescription().SDP})
	if err := s.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: value}); err != nil {
		return err
	}
	for {
		one, err := s.Recv(ctx)
		if err != nil {
			return err
		}
		if one.Kind == p2p.Candidate {
			var c webrtc.ICECandidateInit
			if err := errors.Join(json.Unmarshal(one.Value, &c), pc.AddICECandidate(c)); err != nil {
				return err
			}
			continue
		}
		var said struct{ SDP string }
		if err := json.Unmarshal(one.Value, &said); err != nil {
			return err
		}
		if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: said.SDP}); err != nil {
			return fmt.Errorf("the answer: %w", err)
		}
	}
}
