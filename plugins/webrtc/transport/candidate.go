package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/webrtc/v3"
)

// maxFoundation is the longest foundation that RFC 8839 allows.
const maxFoundation = 32

// readCandidate reads a peer's candidate, with or without "candidate:" in front. It accepts only UDP and IP addresses: with a
// name a peer could make this machine look it up, at any server and any time. It ignores what follows the type.
func readCandidate(text string) (netip.AddrPort, string, error) {
	if len(text) > maxCandidate {
		return netip.AddrPort{}, "", fmt.Errorf("candidate of %d bytes, at most %d", len(text), maxCandidate)
	}
	fields := strings.Fields(strings.TrimPrefix(text, "candidate:"))
	if len(fields) < 8 || fields[6] != "typ" {
		return netip.AddrPort{}, "", errors.New("candidate: want foundation, component, protocol, priority, address, port, typ and type")
	}
	foundation, component, protocol, kind := fields[0], fields[1], fields[2], fields[7]
	if err := checkToken("a candidate's foundation", foundation, 1, maxFoundation); err != nil {
		return netip.AddrPort{}, "", err
	}
	if component != "1" || !strings.EqualFold(protocol, "udp") {
		return netip.AddrPort{}, "", fmt.Errorf("candidate of component %.20q over %.20q: want 1 and udp", component, protocol)
	}
	priority, err := strconv.ParseUint(fields[3], 10, 32)
	if err != nil {
		return netip.AddrPort{}, "", fmt.Errorf("candidate: priority: %w", err)
	}
	ip, err := netip.ParseAddr(fields[4])
	if err != nil {
		return netip.AddrPort{}, "", fmt.Errorf("candidate: address: %w", err)
	}
	port, err := strconv.ParseUint(fields[5], 10, 16)
	if err != nil {
		return netip.AddrPort{}, "", fmt.Errorf("candidate: port: %w", err)
	}
	switch kind {
	case "host", "srflx", "prflx", "relay":
	default:
		return netip.AddrPort{}, "", fmt.Errorf("candidate of the type %.20q", kind)
	}
	ip = ip.Unmap()
	return netip.AddrPortFrom(ip, uint16(port)), fmt.Sprintf("%s 1 udp %d %s %d typ %s", foundation, priority, ip, port, kind), nil
}

// named handles a candidate of the peer, in its description or after it. It ignores one that is invalid or that the
// peer may not name, so that it does not prevent the connection.
func (s *setup) named(text string) {
	at, form, err := readCandidate(text)
	if err != nil {
		s.t.log.Debug("a candidate of the peer is left out", "remote", string(s.peer.Remote), "error", err)
		return
	}
	fresh, err := s.reach.Add(at)
	if err != nil {
		s.t.log.Debug("a candidate of the peer is left out", "remote", string(s.peer.Remote), "error", err)
		return
	}
	if !fresh {
		return
	}
	if err := s.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: "candidate:" + form}); err != nil {
		s.t.log.Debug("a candidate of the peer is not taken", "remote", string(s.peer.Remote), "error", err)
	}
}
