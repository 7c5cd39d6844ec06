package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/sdk/message"
)

// peerAttacks are the attacks of a runtime that is paired with the others.
func peerAttacks() []attack {
	direct := []string{"webrtc", "quic"}
	return []attack{
		{name: "peer", about: "a paired peer that opens other channels and streams, floods tiny messages, reads nothing, and writes what nobody can read", transports: direct,
			start: floodingPeer, prepare: prepareFloods},
		{name: "claims", about: "a paired peer that names the others' addresses as hers; they stay direct, with nothing over the relay", transports: direct,
			start: claimingPeer, prepare: prepareClaims},
		{name: "candidates", about: "a paired peer whose set-ups name a third party's address and such as nobody may name; few datagrams go there, and none to those", transports: direct,
			start: aimingPeer, prepare: prepareCandidates},
	}
}

// leastDeeds is how many attacks of a flooding peer a run plays at least. After each one that has ended her connection, mallory
// is refused for longer; the transports' own tests play all attacks.
const leastDeeds = 3

// endedByPeer is the reason of a connection that the other side has ended.
const endedByPeer = "closed by the other side"

// endures tells whether a runtime need not end an attack: honest peers that are slow, or send little, do the same for a while.
func endures(attack string) bool {
	return slices.Contains([]string{"nothing is read", "messages of one byte", "one byte at a time", "frames of nothing"}, attack)
}

// prepareFloods makes bob ask for the direct connection. So alice asks mallory for none, and her status shows for longer how
// one has ended.
func prepareFloods(ctx context.Context, b *bed) error {
	b.policies[0] = "never"
	return b.installHostilePeer(ctx)
}

// floodingPeer makes mallory connect with alice again and again.
func floodingPeer(ctx context.Context, b *bed) (func(), error) {
	m, err := b.startMallory(ctx, evil{Flood: true}, b.sides[:1], "-hungry")
	if err != nil {
		return nil, err
	}
	ends := m.ends(ctx, b.sides[0])
	return func() {
		for began := time.Now(); time.Since(began) < coolTime; _ = wait(ctx, lookPause) {
			if list, err := m.deeds(); err != nil || len(list) >= leastDeeds {
				break
			}
		}
		m.stop()
		m.judgeDeeds(ends())
	}, nil
}

// judgeDeeds checks the plug-in's attacks, and their effects.
func (m *mallory) judgeDeeds(whys map[int]string) {
	list, err := m.deeds()
	if err != nil {
		m.b.result.fail("%v", err)
	}
	m.b.result.Cheats = map[string]uint64{}
	ended := map[string]bool{} // ended by alice, or an attack that may go on
	for i, d := range list {
		m.b.result.Cheats[d.Attack] += d.Count
		why, known := whys[i]
		m.b.say("  mallory: %s, %d times; the end: %s", d.Attack, d.Count, why)
		switch {
		case endures(d.Attack):
			ended[d.Attack] = true
		case known && why == endedByPeer:
			m.b.result.fail("alice's plug-in goes on with a peer that does this: %s (%d times)", d.Attack, d.Count)
		case known:
			ended[d.Attack] = true
		}
	}
	if len(ended) == 0 {
		m.b.result.fail("mallory has done nothing, or nothing has ended her connection")
	}
	m.b.result.figure("attacks", float64(len(list)))
}

// silence is the shortest pause that the machine cannot have caused.
const silence = time.Second

// freePorts returns addresses of 127.0.0.1 at which nobody listens.
func freePorts() (at [2]netip.AddrPort, err error) {
	for i := range at {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return at, err
		}
		defer func() { _ = c.Close() }()
		at[i] = c.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	return at, nil
}

// prepareClaims makes both plug-ins listen at addresses that mallory knows.
func prepareClaims(ctx context.Context, b *bed) (err error) {
	if b.peer.listens, err = freePorts(); err != nil {
		return err
	}
	for i, at := range b.peer.listens {
		b.config[i] = fmt.Sprintf("stubs:\n  %s:\n    listen: \"%s\"\n", b.transport, at)
	}
	b.nodeTrace = true
	return b.installHostilePeer(ctx)
}

// claimingPeer names alice's and bob's addresses to both, again and again.
func claimingPeer(ctx context.Context, b *bed) (func(), error) {
	before, err := b.path(ctx)
	if err != nil {
		return nil, err
	}
	relayed, err := b.relayed()
	if err != nil {
		return nil, err
	}
	rounds := len(b.result.pauses)
	m, err := b.startMallory(ctx, evil{Names: []string{b.peer.listens[0].String(), b.peer.listens[1].String()}}, b.sides[:], "-pause", claimPause.String())
	if err != nil {
		return nil, err
	}
	return func() {
		if pause := slices.Max(append(b.result.pauses[rounds:], 0)); pause > silence {
			b.result.fail("alice and bob heard nothing of each other for %v: mallory has silenced them", pause)
		}
		after, err := b.path(ctx)
		if err != nil {
			b.result.fail("%v", err)
		} else if after != before {
			b.result.fail("alice's and bob's path was %v and is %v", before, after)
		}
		if n, err := b.relayed(); err != nil || n != relayed {
			b.result.fail("%d frames between alice and bob went over the relay (%v)", n-relayed, err)
		}
		m.stop()
		m.judgeNames()
	}, nil
}

// leastNamed is the least number of set-ups in which a run has to name addresses, if there were that many set-ups; others are
// refused before.
const leastNamed = 20

// judgeNames checks that set-ups with false addresses came as far as intended.
func (m *mallory) judgeNames() {
	list, err := m.deeds()
	if err != nil || len(list) < min(m.setUps/2, leastNamed) || len(list) == 0 {
		m.b.result.fail("mallory has named addresses in %d of %d set-ups (%v)", len(list), m.setUps, err)
	}
}

// path returns the direct path between alice and bob that each uses, and since when.
func (b *bed) path(ctx context.Context) (p [2]struct {
	door  message.URL
	since time.Time
}, err error) {
	for i, s := range b.sides {
		st, err := s.ask(ctx)
		if err != nil {
			return p, err
		}
		remote := b.sides[1-i].URL
		at := slices.IndexFunc(st.Connections, func(c api.Connection) bool { return c.Remote == remote })
		if at < 0 || !isDirect(st, remote, b.transport, time.Time{}) {
			return p, fmt.Errorf("%s and %s are not direct: %s", s.Name, b.sides[1-i].Name, describe(st))
		}
		p[i].door, p[i].since = st.Connections[at].Door, st.Connections[at].Since
	}
	return p, nil
}

// relayed counts the frames of sessions between alice and bob that the node has carried.
func (b *bed) relayed() (n int, err error) {
	text, err := os.ReadFile(b.node.TraceFile)
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Bytes()
		if bytes.Contains(line, []byte(b.sides[0].URL)) && bytes.Contains(line, []byte(b.sides[1].URL)) && bytes.Contains(line, []byte(`"hash"`)) {
			n++
		}
	}
	return n, nil
}
