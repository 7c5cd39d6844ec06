package main

import (
	"github.com/protofly/protofly/bench/speed/contest"
	"github.com/protofly/protofly/bench/speed/figures"
)

// contests returns the measurements between two processes, and their demands.
func (b *bench) contests() []contest.Contest {
	type bounds = map[string][]figures.Bound
	near := []figures.Bound{figures.RatioAtLeast(0.65).Wish(0.75)}
	return []contest.Contest{
		{
			Transport: "quic", Rate: 10_000,
			Starters: []contest.Starter{b.protofly(false, "quic"), contest.Roles(rawQUIC, "quic-receiver", "quic-sender"), b.protofly(true, "quic"), grpcAlone()},
			Bounds: bounds{
				"one-way/quic/100":    {figures.RatioAtLeast(0.30), figures.AtLeast(500_000).Wish(1_000_000)},
				"one-way/quic/1024":   near,
				"one-way/quic/16384":  near,
				"one-way/quic/262144": near,

				"allocations sending/quic/100":   {figures.AtMost(2)},
				"allocations receiving/quic/100": {figures.AtMost(2)},

				"round trip p50/quic/100":            {figures.RatioAtMost(2.8).Wish(2.2)},
				"round trip under load p99/quic/100": {figures.AtMost(5000)},
			},
		},
		{
			Transport: "webrtc", Rate: 10_000,
			Starters: []contest.Starter{b.protofly(false, "webrtc"), pionAlone()},
			Bounds: bounds{
				"one-way/webrtc/100":   {figures.RatioAtLeast(2)},
				"one-way/webrtc/16384": {figures.RatioAtLeast(0.90)},
			},
		},
		{
			Transport: "relay", Rate: 10_000,
			Starters: []contest.Starter{b.protofly(false), natsAlone()},
			Bounds: bounds{
				"one-way/relay/1024": {figures.RatioAtLeast(0.35).Wish(0.5)},
			},
		},
	}
}
