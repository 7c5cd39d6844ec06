package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"

	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/load"
)

// This file has go-libp2p with its QUIC transport and one stream. Its functions that the stream does not need are switched off.

const libp2pProtocol protocol.ID = "/bench/1"

func newHost(listen libp2p.Option) (host.Host, error) {
	return libp2p.New(libp2p.Transport(libp2pquic.NewTransport), listen, libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery(), libp2p.Ping(false))
}

func libp2pReceiver(ctx context.Context, _ []string) error {
	h, err := newHost(libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"))
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	if len(h.Addrs()) == 0 {
		return errors.New("libp2p listens nowhere")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	streams := make(chan network.Stream, 1)
	h.SetStreamHandler(libp2pProtocol, func(s network.Stream) {
		select {
		case streams <- s:
		default: // there is one already
			_ = s.Reset()
		}
	})
	run := func(ctx context.Context) error {
		select {
		case s := <-streams:
			return load.Answer(ctx, load.NewRecords(s, func() { _ = s.Reset() }))
		case <-ctx.Done():
			return nil
		}
	}
	return beside(ctx, run, func() error {
		return (&load.Child{}).Serve(ctx, fmt.Sprintf("%s/p2p/%s", h.Addrs()[0], h.ID()), os.Stdin, os.Stdout)
	})
}

func libp2pSender(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("want the receiver's address")
	}
	remote, err := peer.AddrInfoFromString(args[0])
	if err != nil {
		return err
	}
	h, err := newHost(libp2p.NoListenAddrs)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	if err := h.Connect(ctx, *remote); err != nil {
		return err
	}
	s, err := h.NewStream(ctx, remote.ID, libp2pProtocol)
	if err != nil {
		return err
	}
	return serveSender(ctx, load.NewRecords(s, func() { _ = s.Reset() }))
}

// libp2pStream is the contender.
func libp2pStream() contest.Starter {
	return contest.Roles("go-libp2p", "libp2p-receiver", "libp2p-sender")
}
