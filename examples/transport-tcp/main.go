// Transport-tcp is a P2P transport plug-in over TCP. It is an example of how little a new transport needs: how to listen, how to
// dial, and the addresses where it can be reached. Package sdk/p2p/streams does the rest, and the runtime needs no change but
// in the operator's configuration:
//
//	protofly plugins install ./transport-tcp
//	plugins: {use: [tcp]}
//
// Limits: the Requester must be able to reach one of the Handler's addresses; there is no hole punching.
//
// Options: "listen" (default ":0") and "advertise", further addresses ("203.0.113.7:7000") under which the listener
// can be reached; "loopback" and "private" (default true): whether peers may name addresses of this machine and of private
// networks.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/p2p/streams"
	"github.com/protofly/protofly/sdk/udp/reach"
)

const maxAdvertised = 16

func main() {
	sdk.Serve(sdk.Descriptor{
		Name:    "tcp",
		Version: "1.0.0",
		Kind:    sdk.KindP2P,
		About:   "direct connections over TCP with mutual TLS (an example)",
	}, p2p.Stub(New))
}

// options are the operator's configuration.
type options struct {
	Listen    string   `json:"listen"`
	Advertise []string `json:"advertise"`
	Loopback  *bool    `json:"loopback"` // null: true
	Private   *bool    `json:"private"`  // null: true
}

// New is the plug-in's p2p.New.
func New(c p2p.Config) (p2p.Transport, error) { return open(c, 0) }

// open is New with another time of silence after which a peer counts as dead; 0 is the default.
func open(c p2p.Config, silence time.Duration) (p2p.Transport, error) {
	o, advertised, err := parse(c.Options)
	if err != nil {
		return nil, fmt.Errorf("tcp: %w", err)
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("tcp: option listen: %w", err)
	}
	t, err := streams.New(streams.Network{
		Name:      "tcp",
		Listener:  listener,
		Addresses: func() []netip.AddrPort { return addresses(listener, advertised) },
		Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", to.String())
		},
		Policy:  reach.Policy{Loopback: o.Loopback == nil || *o.Loopback, Private: o.Private == nil || *o.Private},
		Silence: silence,
		Log:     c.Log,
	})
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	return t, nil
}

func parse(text json.RawMessage) (o options, advertised []netip.AddrPort, err error) {
	o.Listen = ":0"
	if len(text) > 0 {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			return o, nil, fmt.Errorf("options: %w; known are listen, advertise, loopback and private", err)
		}
	}
	for _, a := range o.Advertise {
		addr, err := netip.ParseAddrPort(a)
		if err != nil || !streams.Usable(addr) || len(advertised) >= maxAdvertised {
			return o, nil, fmt.Errorf("option advertise: %q: want up to %d addresses like 203.0.113.7:7000", a, maxAdvertised)
		}
		advertised = append(advertised, addr)
	}
	return o, advertised, nil
}

// addresses returns the addresses of the listener: those that the operator advertises, then this machine's own.
func addresses(listener net.Listener, advertised []netip.AddrPort) []netip.AddrPort {
	own := listener.Addr().(*net.TCPAddr).AddrPort()
	list := append([]netip.AddrPort(nil), advertised...)
	if !own.Addr().IsUnspecified() {
		return append(list, own)
	}
	all, _ := net.InterfaceAddrs() // after an error only the advertised addresses are left
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			if addr := netip.AddrPortFrom(prefix.Addr(), own.Port()); streams.Usable(addr) {
				list = append(list, addr)
			}
		}
	}
	return list
}
