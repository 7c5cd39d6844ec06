package main

import "github.com/protofly/protofly/examples/bench/figures"

// contests are what is measured between two processes, and what has to hold.
func (b *bench) contests() []contest {
	sizes := []int{smallest, 1 << 10, 16 << 10, 256 << 10}
	type bounds = map[string][]figures.Bound
	large := []figures.Bound{figures.RatioAtLeast(0.65).Wish(0.75)}
	return []contest{
		{
			transport: "quic", sizes: sizes, rate: 10_000,
			starters: []starter{b.protofly(false, "quic"), plain(rawQUIC, "quic-receiver", "quic-sender"), b.protofly(true, "quic"), grpcAlone()},
			bounds: bounds{
				"one-way/100":    {figures.RatioAtLeast(0.30), figures.AtLeast(500_000).Wish(1_000_000)},
				"one-way/1024":   large,
				"one-way/16384":  large,
				"one-way/262144": large,

				"allocations sending/100":   {figures.AtMost(2)},
				"allocations receiving/100": {figures.AtMost(2)},

				"round trip p50":            {figures.RatioAtMost(2.8).Wish(2.2)},
				"round trip under load p99": {figures.AtMost(5000)},
			},
		},
		{
			transport: "webrtc", sizes: sizes, rate: 10_000,
			starters: []starter{b.protofly(false, "webrtc"), pionAlone()},
			bounds: bounds{
				"one-way/100":   {figures.RatioAtLeast(2)},
				"one-way/16384": {figures.RatioAtLeast(0.90)},
			},
		},
		{
			transport: "relay", sizes: sizes, relay: true,
			starters: []starter{b.protofly(false), natsAlone()},
			bounds: bounds{
				"one-way/1024": {figures.RatioAtLeast(0.35).Wish(0.5)},
			},
		},
	}
}
