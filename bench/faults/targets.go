package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// target counts what comes to an address of a third party, by the port that it comes from.
type target struct {
	name   string // its address, as it is named to runtimes
	third  bool   // a third party's, which may be named
	socket *net.UDPConn
	reader sync.WaitGroup

	from map[uint16]reach.Amount // to be read when the reader has ended
}

// newTarget listens at an address. Runtimes are given name as its host, with its port.
func newTarget(ip netip.Addr, name string) (*target, error) {
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		return nil, err
	}
	t := &target{socket: socket, name: fmt.Sprintf("%s:%d", name, socket.LocalAddr().(*net.UDPAddr).Port), from: map[uint16]reach.Amount{}}
	t.reader.Go(func() {
		for b := make([]byte, 2000); ; {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			t.from[from.Port()] = sum(t.from[from.Port()], reach.Amount{Datagrams: 1, Bytes: n})
		}
	})
	return t, nil
}

// end ends the target, and returns what has come from a port, and what from others.
func (t *target) end(port uint16) (from, others reach.Amount) {
	_ = t.socket.Close()
	t.reader.Wait()
	for p, some := range t.from {
		if p != port {
			others = sum(others, some)
		}
	}
	return t.from[port], others
}

// thirdParties are the hosts whose addresses are named, at some ports each. forbidden has names that no peer may use for an
// address, and the address that gets what is sent there.
var (
	thirdParties = []string{"127.0.0.9", "127.0.0.10", "127.0.0.11", "127.0.0.12"}
	forbidden    = []struct{ name, gets string }{
		{"0.0.0.0", "127.0.0.1"},
		{"[::ffff:0.0.0.0]", "127.0.0.1"},
		{"127.255.255.255", "0.0.0.0"}, // the broadcast address of the loopback network
		{"localhost", "127.0.0.1"},
		{"[::127.0.0.1]", "127.0.0.1"},
	}
)

const thirdPorts = 4

// prepareCandidates opens the targets. A peer may name third parties if loopback addresses are allowed. They are at alice's
// runtime, and at bob's if this machine has no other addresses.
func prepareCandidates(ctx context.Context, b *bed) (err error) {
	add := func(name, gets string, third bool) error {
		t, err := newTarget(netip.MustParseAddr(gets), name)
		if err == nil {
			t.third = third
			b.peer.targets = append(b.peer.targets, t)
		}
		return err
	}
	for _, ip := range thirdParties {
		for range thirdPorts {
			if err := add(ip, ip, true); err != nil {
				return &cannotError{"this machine has one loopback address only: " + err.Error()}
			}
		}
	}
	for _, f := range forbidden {
		if err := add(f.name, f.gets, false); err != nil {
			return err
		}
	}
	if b.peer.listens, err = freePorts(); err != nil {
		return err
	}
	b.peer.strict = hasNetwork()
	for i, at := range b.peer.listens {
		b.config[i] = fmt.Sprintf("stubs:\n  %s: {listen: \":%d\", loopback: %v}\n", b.transport, at.Port(), i == 0 || !b.peer.strict)
	}
	return b.installHostilePeer(ctx)
}

// hasNetwork tells whether runtimes on this machine find each other without loopback addresses.
func hasNetwork() bool {
	addresses, _ := net.InterfaceAddrs() // after an error there are none
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return true
		}
	}
	return false
}

// allowance returns what a runtime may send, because of one peer, to hosts that do not answer: at once, and again in each
// period.
func allowance(transport string) (reach.Amount, time.Duration) {
	usual := reach.Usual()
	if transport == "webrtc" { // limits in its package transport
		return reach.Amount{Datagrams: 96, Bytes: 16 << 10}, usual.Refill
	}
	return usual.Remote, usual.Refill
}

// aimingPeer makes mallory send candidates to alice and bob again and again.
func aimingPeer(ctx context.Context, b *bed) (func(), error) {
	var names []string
	for _, t := range b.peer.targets {
		names = append(names, t.name)
	}
	began := time.Now()
	m, err := b.startMallory(ctx, evil{Names: names}, b.sides[:], "-pause", (2 * setUpTime).String())
	if err != nil {
		return nil, err
	}
	return func() {
		m.stop()
		b.judgeTargets(time.Since(began))
		m.judgeNames()
	}, nil
}

// judgeTargets checks what has come in the time that the attack has lasted.
func (b *bed) judgeTargets(lasted time.Duration) {
	var came, strict reach.Amount
	for _, t := range b.peer.targets {
		fromBob, others := t.end(b.peer.listens[1].Port())
		if t.third {
			strict, came = sum(strict, fromBob), sum(came, others)
		} else if n := sum(fromBob, others).Datagrams; n > 0 {
			b.result.fail("%d datagrams came to %s, which nobody may name", n, t.name)
		}
	}
	most, refill := allowance(b.transport)
	grown := 1 + float64(lasted)/float64(refill)
	if !b.peer.strict {
		came, grown = sum(came, strict), 2*grown // from both
	} else if strict.Datagrams > 0 {
		b.result.fail("%d datagrams came to third parties from bob's runtime, which sends nothing to loopback addresses", strict.Datagrams)
	}
	b.result.figure("datagrams_to_third_parties", float64(came.Datagrams))
	b.result.figure("bytes_to_third_parties", float64(came.Bytes))
	switch {
	case float64(came.Datagrams) > grown*float64(most.Datagrams) || float64(came.Bytes) > grown*float64(most.Bytes):
		b.result.fail("%d datagrams, %d bytes, came to third parties in %v; at most %d and %d may at once, and as much in each %v",
			came.Datagrams, came.Bytes, lasted, most.Datagrams, most.Bytes, refill)
	case came.Datagrams == 0:
		b.result.fail("nothing came to third parties: the case shows nothing")
	}
}

func sum(a, b reach.Amount) reach.Amount {
	return reach.Amount{Datagrams: a.Datagrams + b.Datagrams, Bytes: a.Bytes + b.Bytes}
}
