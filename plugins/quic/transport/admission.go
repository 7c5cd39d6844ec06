package transport

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// Places of connections that come in and have not been matched with a set-up. A stranger is who has not shown yet the
// name of a set-up that waits.
const (
	maxStrangers = 768 // in all
	strangerHost = 32  // of one host, fewer where few are free
	hostsShare   = 8   // a host may have this part of the places that are free
	networkHosts = 4   // a site of IPv6 (/48) may have what so many hosts may

	// Who comes from an address that a waiting set-up's peer has named has places apart: so strangers keep out nobody
	// whom a set-up expects.
	maxExpected  = 256
	expectedHost = 8

	// Who has shown a set-up's name has one of the set-up's places.
	setupPlaces = 16

	// From so many strangers on addresses are validated first, and handshakes have to be quick; from so many of one host
	// on for that one.
	crowdStrangers = 64
	crowdHost      = 4
)

// errCrowded is why a connection is refused before its handshake; quic-go only logs it.
var errCrowded = errors.New("too many connections wait for their match")

// admission decides who may have a place. It does no I/O; its owner holds a lock. The zero value is not usable.
type admission struct {
	strangers int
	expected  int
	hosts     map[netip.Addr]int // places of strangers, by host
	networks  map[netip.Addr]int // and by network of IPv6
	guests    map[netip.Addr]int // places of those who were expected, by host
	awaited   map[netip.Addr]int // hosts where peers of waiting set-ups may be, and of how many
	setups    map[token]int      // places of set-ups
}

func newAdmission() admission {
	return admission{
		hosts: make(map[netip.Addr]int), networks: make(map[netip.Addr]int), guests: make(map[netip.Addr]int),
		awaited: make(map[netip.Addr]int), setups: make(map[token]int),
	}
}

// place is one connection's; it is given back with leave.
type place struct {
	host, network netip.Addr
	kind          placeKind
	setup         token
}

// placeKind says whose places it is of.
type placeKind int

const (
	ofNobody placeKind = iota // it has been given back
	ofStrangers
	ofExpected
	ofSetup
)

// await says that a peer may come from the address; the returned function says that it need not come any more.
func (a *admission) await(ip netip.Addr) (forget func()) {
	host := reach.Host(ip)
	a.awaited[host]++
	return func() { less(a.awaited, host) }
}

// retry says whether a connection from the address has to show first that it is its own.
func (a *admission) retry(ip netip.Addr) bool {
	return a.strangers >= crowdStrangers || a.hosts[reach.Host(ip)] >= crowdHost
}

// patient says whether a handshake from the address may take its time.
func (a *admission) patient(ip netip.Addr) bool {
	return a.strangers < crowdStrangers || a.awaited[reach.Host(ip)] > 0
}

// admit gives a place, or an error that wraps errCrowded.
func (a *admission) admit(ip netip.Addr) (*place, error) {
	p := &place{host: reach.Host(ip), network: reach.Site(ip)}
	if a.awaited[p.host] > 0 && a.expected < maxExpected && a.guests[p.host] < expectedHost {
		p.kind = ofExpected
		a.expected++
		a.guests[p.host]++
		return p, nil
	}
	free := maxStrangers - a.strangers
	share := min(max(free/hostsShare, 1), strangerHost)
	switch {
	case free <= 0:
		return nil, fmt.Errorf("%w: %d", errCrowded, a.strangers)
	case a.hosts[p.host] >= share:
		return nil, fmt.Errorf("%w: %d of one host", errCrowded, a.hosts[p.host])
	case p.network != p.host && a.networks[p.network] >= networkHosts*share:
		return nil, fmt.Errorf("%w: %d of one network", errCrowded, a.networks[p.network])
	}
	p.kind = ofStrangers
	a.strangers++
	a.hosts[p.host]++
	a.networks[p.network]++
	return p, nil
}

// known says that the connection has shown the name of a set-up that waits: it has one of that set-up's places from now on.
func (a *admission) known(p *place, setup token) error {
	if p.kind == ofNobody || p.kind == ofSetup {
		return nil
	}
	if a.setups[setup] >= setupPlaces {
		return fmt.Errorf("%w: %d of one set-up", errCrowded, a.setups[setup])
	}
	a.leave(p)
	p.kind, p.setup = ofSetup, setup
	a.setups[setup]++
	return nil
}

// leave gives the place back, once.
func (a *admission) leave(p *place) {
	switch p.kind {
	case ofStrangers:
		a.strangers--
		less(a.hosts, p.host)
		less(a.networks, p.network)
	case ofExpected:
		a.expected--
		less(a.guests, p.host)
	case ofSetup:
		less(a.setups, p.setup)
	}
	p.kind = ofNobody
}

// waiting is how many places are taken.
func (a *admission) waiting() int {
	n := a.strangers + a.expected
	for _, k := range a.setups {
		n += k
	}
	return n
}

// less counts one down and forgets who has none left.
func less[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] <= 0 {
		delete(counts, k)
	}
}
