package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/ice/v2"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/bench/speed/load"
)

// This file has the baseline of WebRTC: pion alone, with one ordered and reliable data channel, one message of the channel for each
// message, and the version of SCTP and the socket buffers of our plug-in. A message that is too large for SCTP is sent as
// several.

const (
	pionMessage   = 60 << 10
	pionHighWater = 1 << 20
	pionLowWater  = 512 << 10
)

// pionPeer makes a connection on a socket of its own.
func pionPeer() (*webrtc.PeerConnection, error) {
	socket, err := udpSocket()
	if err != nil {
		return nil, err
	}
	loggers := logging.NewDefaultLoggerFactory()
	loggers.DefaultLogLevel = logging.LogLevelDisabled
	var e webrtc.SettingEngine
	e.LoggerFactory = loggers
	e.DetachDataChannels()
	e.SetIncludeLoopbackCandidate(true)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	e.SetICEUDPMux(webrtc.NewICEUDPMux(loggers.NewLogger("ice"), socket))
	e.SetSCTPMaxReceiveBufferSize(8 << 20)
	return webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
}

// described is the local description with all candidates.
func described(ctx context.Context, pc *webrtc.PeerConnection, d webrtc.SessionDescription) (string, error) {
	all := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	select {
	case <-all:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	text, err := json.Marshal(pc.LocalDescription())
	return string(text), err
}

// pionConn is a data channel as a [load.Conn].
type pionConn struct {
	stream  *datachannel.DataChannel
	drained chan struct{}
}

func newPionConn(dc *webrtc.DataChannel) (*pionConn, error) {
	raw, err := dc.Detach()
	if err != nil {
		return nil, err
	}
	stream, ok := raw.(*datachannel.DataChannel)
	if !ok {
		return nil, errors.New("a data channel of another kind")
	}
	c := &pionConn{stream: stream, drained: make(chan struct{}, 1)}
	stream.SetBufferedAmountLowThreshold(pionLowWater)
	stream.OnBufferedAmountLow(func() {
		select {
		case c.drained <- struct{}{}:
		default:
		}
	})
	return c, nil
}

func (c *pionConn) Send(ctx context.Context, b []byte, _ bool) error {
	for len(b) > 0 {
		for c.stream.BufferedAmount() > pionHighWater {
			select {
			case <-c.drained:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		n := min(len(b), pionMessage)
		if _, err := c.stream.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (c *pionConn) Run(ctx context.Context, take func(b []byte)) error {
	stop := context.AfterFunc(ctx, func() { _ = c.stream.Close() })
	defer stop()
	buffer := make([]byte, 2*pionMessage)
	var parts []byte // of a message that came as several
	for {
		n, err := c.stream.Read(buffer)
		if err != nil {
			return err
		}
		if n == pionMessage || len(parts) > 0 {
			if parts = append(parts, buffer[:n]...); n == pionMessage {
				continue
			}
			take(parts)
			parts = parts[:0]
			continue
		}
		take(buffer[:n])
	}
}

func pionReceiver(ctx context.Context, _ []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pc, err := pionPeer()
	if err != nil {
		return err
	}
	defer func() { _ = pc.Close() }()
	pc.OnDataChannel(func(dc *webrtc.DataChannel) {
		dc.OnOpen(func() {
			c, err := newPionConn(dc)
			if err != nil {
				say(err)
				return
			}
			go answer(ctx, c, say)
		})
	})
	child := &load.Child{Own: func(ctx context.Context, c load.Command) (r load.Result, ok bool, err error) {
		if c.Do != "offer" {
			return r, false, nil
		}
		var offer webrtc.SessionDescription
		if err := json.Unmarshal([]byte(c.Text), &offer); err != nil {
			return r, true, err
		}
		if err := pc.SetRemoteDescription(offer); err != nil {
			return r, true, err
		}
		d, err := pc.CreateAnswer(nil)
		if err == nil {
			r.Text, err = described(ctx, pc, d)
		}
		return r, true, err
	}}
	return child.Serve(ctx, "", os.Stdin, os.Stdout)
}

// pionSender is connected by its parent, which carries the descriptions: the address is the offer, "answer" connects.
func pionSender(ctx context.Context, _ []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pc, err := pionPeer()
	if err != nil {
		return err
	}
	defer func() { _ = pc.Close() }()
	dc, err := pc.CreateDataChannel("bench", nil)
	if err != nil {
		return err
	}
	opened := make(chan struct{})
	dc.OnOpen(func() { close(opened) })
	d, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	offer, err := described(ctx, pc, d)
	if err != nil {
		return err
	}
	child := &load.Child{}
	child.Own = func(ctx context.Context, c load.Command) (r load.Result, ok bool, err error) {
		if c.Do != "answer" {
			return r, false, nil
		}
		var answered webrtc.SessionDescription
		if err := json.Unmarshal([]byte(c.Text), &answered); err != nil {
			return r, true, err
		}
		if err := pc.SetRemoteDescription(answered); err != nil {
			return r, true, err
		}
		select {
		case <-opened:
		case <-time.After(directTimeout):
			return r, true, errors.New("the data channel does not open")
		}
		conn, err := newPionConn(dc)
		if err != nil {
			return r, true, err
		}
		var run func(ctx context.Context) error
		child.Driver, run = load.Drive(conn)
		go func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				say(err)
			}
		}()
		return r, true, nil
	}
	return child.Serve(ctx, offer, os.Stdin, os.Stdout)
}
