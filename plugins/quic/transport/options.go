package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/protofly/protofly/sdk"
)

// Limits of the operator's configuration.
const (
	maxOptions = 64 << 10
	maxServers = 8
	maxListed  = 32
)

// Options are the operator's configuration of the plug-in. The zero value works.
type Options struct {
	// Listen is where the one UDP socket listens: "IP:port", ":port" for all addresses, port 0 for any free one.
	// Empty means ":0".
	Listen string `json:"listen"`
	// STUN names the STUN servers, "host:port", that are asked for the address that they see. None by default.
	STUN []string `json:"stun"`
	// Advertise adds addresses that lead to the socket, "IP" or "IP:port", for instance a forwarded port.
	Advertise []string `json:"advertise"`
	// Interfaces names the network interfaces whose addresses are told to peers ("eth*" is allowed); empty: all.
	Interfaces []string `json:"interfaces"`
	// ExcludeInterfaces names those whose addresses are not told.
	ExcludeInterfaces []string `json:"exclude_interfaces"`
	// Loopback says whether loopback addresses are told to peers and dialed; null means true. With them two runtimes
	// on one machine connect even if it has no network.
	Loopback *bool `json:"loopback"`
	// Private says the same of addresses of private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10,
	// fc00::/7); null means true. With them two runtimes in one network connect within it; but a peer can make this
	// machine send a few packets to any address there.
	Private *bool `json:"private"`
}

// Described describes the options for operators.
func Described() []sdk.Option {
	return []sdk.Option{
		{Name: "listen", Type: sdk.OptionText, Default: ":0", About: "Where the one UDP socket listens: IP:port, or :port for all addresses; port 0 is any free one."},
		{Name: "stun", Type: sdk.OptionList, Default: []any{}, About: "The STUN servers, host:port, that are asked for the address that they see; at most 8."},
		{Name: "advertise", Type: sdk.OptionList, Default: []any{}, About: "Further addresses that lead to the socket, IP or IP:port, for instance of a forwarded port; at most 32."},
		{Name: "interfaces", Type: sdk.OptionList, Default: []any{}, About: "The network interfaces whose addresses are told to peers, as eth0 or eth*; []: all."},
		{Name: "exclude_interfaces", Type: sdk.OptionList, Default: []any{}, Was: []string{"excludeInterfaces"}, About: "The network interfaces whose addresses are not told."},
		{Name: "loopback", Type: sdk.OptionBool, Default: true, About: "Whether loopback addresses are told to peers and dialed, so that two runtimes on a machine without a network connect."},
		{Name: "private", Type: sdk.OptionBool, Default: true, About: "The same for addresses of private networks. A peer can have this machine send a few packets to any address there."},
	}
}

// settings are checked Options.
type settings struct {
	network   string // "udp" or "udp4"
	listen    *net.UDPAddr
	stun      []string
	advertise []netip.AddrPort // port 0: the socket's
	allow     []string
	deny      []string
	loopback  bool
	private   bool
}

// parseOptions reads the operator's configuration. An error names the member and says what it should be.
func parseOptions(raw json.RawMessage) (settings, error) {
	var o Options
	if len(raw) > maxOptions {
		return settings{}, fmt.Errorf("quic options: %d bytes, at most %d", len(raw), maxOptions)
	}
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && !bytes.Equal(trimmed, []byte("null")) {
		if trimmed[0] != '{' {
			return settings{}, errors.New("quic options: not a JSON object")
		}
		d := json.NewDecoder(bytes.NewReader(trimmed))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			return settings{}, fmt.Errorf("quic options: %w (known: listen, stun, advertise, interfaces, exclude_interfaces, loopback, private)", err)
		}
		if _, err := d.Token(); err != io.EOF {
			return settings{}, errors.New("quic options: something follows the JSON object")
		}
	}
	return o.check()
}

func (o Options) check() (settings, error) {
	s := settings{allow: o.Interfaces, deny: o.ExcludeInterfaces, loopback: o.Loopback == nil || *o.Loopback, private: o.Private == nil || *o.Private}
	var err error
	if s.network, s.listen, err = parseListen(o.Listen); err != nil {
		return settings{}, err
	}
	if len(o.STUN) > maxServers {
		return settings{}, fmt.Errorf("quic options: %d STUN servers, at most %d", len(o.STUN), maxServers)
	}
	for _, server := range o.STUN {
		host, port, err := net.SplitHostPort(server)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" || len(host) > 255 {
			return settings{}, fmt.Errorf("quic options: stun %.80q: write it as \"host:port\"", server)
		}
	}
	s.stun = o.STUN
	if len(o.Advertise) > maxListed {
		return settings{}, fmt.Errorf("quic options: %d addresses to advertise, at most %d", len(o.Advertise), maxListed)
	}
	for _, text := range o.Advertise {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(text); err == nil {
				at = netip.AddrPortFrom(ip, 0)
			}
		}
		if err != nil || !usableIP(at.Addr()) {
			return settings{}, fmt.Errorf("quic options: advertise %.80q: write \"IP\" or \"IP:port\" of an address that peers can reach", text)
		}
		s.advertise = append(s.advertise, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	}
	for _, pattern := range append(append([]string(nil), o.Interfaces...), o.ExcludeInterfaces...) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return settings{}, fmt.Errorf("quic options: interface %.80q: not a name or a pattern like eth*", pattern)
		}
	}
	return s, nil
}

// parseListen returns the network too: an IPv4 address needs an IPv4 socket.
func parseListen(text string) (network string, at *net.UDPAddr, err error) {
	if text == "" {
		text = ":0"
	}
	host, port, err := net.SplitHostPort(text)
	number, badPort := strconv.ParseUint(port, 10, 16)
	var ip netip.Addr
	var badIP error
	if host != "" {
		ip, badIP = netip.ParseAddr(host)
	}
	if err != nil || badPort != nil || badIP != nil || ip.IsMulticast() || ip.Zone() != "" {
		return "", nil, fmt.Errorf("quic options: listen %.80q: write \":port\" or \"IP:port\", for instance %q", text, ":4433")
	}
	at = &net.UDPAddr{Port: int(number)}
	if !ip.IsValid() {
		return "udp", at, nil
	}
	at.IP = ip.Unmap().AsSlice()
	if ip.Unmap().Is4() {
		return "udp4", at, nil
	}
	return "udp", at, nil
}

// tells tells whether the addresses of the interface are told to peers.
func (s settings) tells(name string) bool {
	match := func(patterns []string) bool {
		for _, p := range patterns {
			if ok, _ := path.Match(p, name); ok || strings.EqualFold(p, name) {
				return true
			}
		}
		return false
	}
	return (len(s.allow) == 0 || match(s.allow)) && !match(s.deny)
}
