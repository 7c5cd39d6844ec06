package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// The values of -transport that are not the name of a plug-in.
const (
	relay  = "relay" // over the Message Node alone
	anyWay = "all"   // one after the other
)

// fault is a case: one kind of fault, which is caused again and again.
type fault struct {
	name, about string
	transports  []string
	rounds      int // the default
	rate        int // the default: messages a second, in both directions together
	run         func(ctx context.Context, b *bed) error
}

// faults returns all cases, in the order in which they run.
func faults() []fault {
	p2p := []string{"quic", "webrtc"}
	every := append(p2p, relay)
	return append([]fault{
		{"kill-plugin", "kill -9 of one side's P2P plug-in; nothing lost, flowing again over the relay within 1 s (p95), direct again within 10 s, no process left", p2p, 100, 20_000, killPlugin},
		{"kill-node", "kill -9 of the Message Node; nothing lost; direct: a pause of at most 100 ms; relayed: flowing within 3 s of the node's return", every, 10, 5_000, killNode},
		{"switch", "every 200 ms another way: relay, QUIC, WebRTC; nothing lost, pauses of at most 100 ms (p99)", []string{anyWay}, 600, 5_000, switchWays},
		{"upgrade", "one side's plug-in is replaced by another version while it is in use (relay: the Message Node's stub); nothing lost, pauses of at most 500 ms (p99); every tenth time a program with the wrong checksum comes first and is refused", every, 50, 5_000, upgrade},
		{"blackhole", "the direct path swallows every datagram; nothing lost, on the relay within 6.5 s", p2p, 5, 5_000, blackhole},
		{"loss", "the direct path loses 1, 5 and 20 % of the datagrams, a round each; nothing lost", p2p, 3, 5_000, loss},
		{"kill-runtime", "kill -9 of a whole runtime; within 5 s of its return the other side has reported the reset and what is in doubt; each message came, is in doubt, or was refused with an answer: one that is nothing of these is lost", every, 5, 2_000, killRuntime},
		{"slow-reader", "an application reads one message a second of the 10,000 a second that it is sent; its sender is held up and nothing lost; another application's p99 at most doubles; the runtimes' memory stays within its bound plus 10 %; a round is 2 s, half of them without the slow reader", every, 16, slowRate, slowReader},
		{"hostile", "a Message Node (relay) or a P2P plug-in (quic) that was written to cheat; a round is one try; nothing altered or forged is delivered, and no message's body is in what they saw", []string{relay, "quic"}, 5_000, 1_000, hostile},
		{"registrations", "hyperties of a runtime register, send a message and unregister, a round each; each message is delivered, and the limits allow as many as before; in quiet, memory, descriptors, threads, data and entries of the status of node and runtimes are within 5 % and a room of what they were after the first 2,000, and each process logs at most 10 lines a minute", []string{relay}, longRegistrations, 0, registrations},
		{"soak", "applications, plug-ins, runtimes and the node are killed or ended at random, and come back, for -duration; each tracked message has one outcome, none comes twice or out of order, delivered is only what a handler has returned from; objects are the same at all observers afterwards; in quiet, memory, descriptors, threads, data and entries of the status are within 5 % and a room of what they were before, and each process logs at most 10 lines a minute", []string{anyWay}, 1, soakRate, soaking},
	}, attackFaults()...)
}

func list(out io.Writer) {
	for _, f := range faults() {
		fmt.Fprintf(out, "%-18s %s\n%-18s over %s; %d rounds at %d messages/s\n", f.name, f.about, "", strings.Join(f.transports, ", "), f.rounds, f.rate)
	}
}
