package transport

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// Limits of incoming connections that are not assigned to a set-up yet. Each takes a place. A stranger is a connection that has
// not named a waiting set-up.
const (
	maxStrangers = 768 // in all
	strangerHost = 32  // of one host, fewer if few are free
	hostsShare   = 8   // a host may have this fraction of the free places
	networkHosts = 4   // an IPv6 site (/48) may have the places of so many hosts

	// Connections from addresses that the peer of a waiting set-up has named have places of their own, so that strangers
	// cannot keep them out.
	maxExpected  = 256
	expectedHost = 8

	// A connection that has named a waiting set-up has one of that set-up's places.
	setupPlaces = 16

	// With so many strangers, in all or from one host, addresses are validated before the handshake, and the handshake has less
	// time.
	crowdStrangers = 64
	crowdHost      = 4
)

// errCrowded is why a connection is refused before its handshake; quic-go only logs it.
var errCrowded = errors.New("too many connections are not assigned to a set-up yet")

// admission decides which connections get a place. It does no I/O; its owner's lock guards it. The zero value is not usable.
type admission struct {
	strangers int
	expected  int
	hosts     map[netip.Addr]int // places of strangers, by host
	networks  map[netip.Addr]int // places of strangers, by IPv6 site
	guests    map[netip.Addr]int // places of expected connections, by host
	awaited   map[netip.Addr]int // number of waiting set-ups whose peers may come from a host
	setups    map[token]int      // places taken, by set-up
}

func newAdmission() admission {
	return admission{
		hosts: make(map[netip.Addr]int), networks: make(map[netip.Addr]int), guests: make(map[netip.Addr]int),
		awaited: make(map[netip.Addr]int), setups: make(map[token]int),
	}
}

// place is the place of one connection. It is given back with leave.
type place struct {
	host, network netip.Addr
	kind          placeKind
	setup         token
}

// placeKind says which limit a place counts for.
type placeKind int

const (
	ofNobody placeKind = iota // none: it was given back
	ofStrangers
	ofExpected
	ofSetup
)

// await notes that a peer is expected from the address; the returned function ends that.
func (a *admission) await(ip netip.Addr) (forget func()) {
	host := reach.Host(ip)
	a.awaited[host]++
	return func() { less(a.awaited, host) }
}

// retry tells whether the address of a new connection has to be validated first.
func (a *admission) retry(ip netip.Addr) bool {
	return a.strangers >= crowdStrangers || a.hosts[reach.Host(ip)] >= crowdHost
}

// patient tells whether a handshake from the address gets the full time.
func (a *admission) patient(ip netip.Addr) bool {
	return a.strangers < crowdStrangers || a.awaited[reach.Host(ip)] > 0
}

// admit returns a place, or an error that wraps errCrowded.
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

// known notes that the connection has named a waiting set-up. Its place is one of that set-up's from now on.
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

// waiting returns how many places are taken.
func (a *admission) waiting() int {
	n := a.strangers + a.expected
	for _, k := range a.setups {
		n += k
	}
	return n
}

// less counts one down, and removes a count of zero.
func less[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] <= 0 {
		delete(counts, k)
	}
}
