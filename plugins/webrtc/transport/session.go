package transport

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of a session description (SDP). One of a data channel has about 20 lines, and one more for each candidate.
const (
	maxSDP          = 16 << 10
	maxLines        = 256
	maxFingerprints = 4
	maxMid          = 32
	minUfrag        = 4 // RFC 8839, "ice-ufrag" and "ice-pwd"; the upper bounds are ours
	maxUfrag        = 32
	minPassword     = 22
	maxPassword     = 64
)

// session has the parts of a session description that are used. All of them are checked before they are passed to the library.
type session struct {
	ufrag, password string
	fingerprint     fingerprint // of the peer's certificate
	hashes          int         // how many fingerprints there were
	setup           string      // DTLS role: actpass, active or passive; "" if there is none
	mid             string      // names the media section; an answer repeats it
	candidates      []string    // as they were written, without "candidate:"
}

// fingerprint is a hash of a certificate.
type fingerprint struct{ hash, value string }

// hashes are the accepted hash functions, the best last, with their sizes in bytes.
var hashes = []struct {
	name string
	size int
}{{"sha-256", 32}, {"sha-384", 48}, {"sha-512", 64}}

// rank returns the index of a fingerprint's hash function in hashes, -1 if it is not accepted.
func (f fingerprint) rank() int {
	for i, h := range hashes {
		if f.hash == h.name && len(f.value) == 3*h.size-1 && !strings.ContainsFunc(f.value, func(r rune) bool {
			return r != ':' && (r < '0' || r > '9') && (r < 'A' || r > 'F') && (r < 'a' || r > 'f')
		}) {
			return i
		}
	}
	return -1
}

// parseSession reads a peer's session description. It must have one media section, for a data channel.
func parseSession(sdp string) (session, error) {
	var s session
	if len(sdp) > maxSDP {
		return s, fmt.Errorf("session of %d bytes, at most %d", len(sdp), maxSDP)
	}
	if !strings.HasPrefix(sdp, "v=0") {
		return s, errors.New("the session does not begin with v=0")
	}
	sections, lines := 0, 0
	for line := range strings.SplitSeq(sdp, "\n") {
		if lines++; lines > maxLines {
			return s, fmt.Errorf("session of more than %d lines", maxLines)
		}
		kind, value, _ := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		switch kind {
		case "m":
			if sections++; sections > 1 {
				return s, errors.New("the session has more than one media section, not only a data channel")
			}
			if err := checkMedia(value); err != nil {
				return s, err
			}
		case "a":
			if err := s.attribute(value); err != nil {
				return s, err
			}
		}
	}
	if sections == 0 {
		return s, errors.New("the session has no media section for a data channel")
	}
	return s, s.check()
}

// checkMedia checks a media section's line: "application 9 UDP/DTLS/SCTP webrtc-datachannel".
func checkMedia(line string) error {
	fields := strings.Fields(line)
	if len(fields) != 4 || fields[0] != "application" || !strings.HasSuffix(fields[2], "DTLS/SCTP") || fields[3] != "webrtc-datachannel" {
		return fmt.Errorf("the media section %.80q is not a data channel's", line)
	}
	if fields[1] == "0" {
		return errors.New("the data channel is refused: its port is 0")
	}
	return nil
}

func (s *session) attribute(text string) error {
	name, value, _ := strings.Cut(text, ":")
	switch name {
	case "ice-ufrag":
		s.ufrag = value
	case "ice-pwd":
		s.password = value
	case "setup":
		s.setup = value
	case "mid":
		s.mid = value
	case "fingerprint":
		hash, hex, _ := strings.Cut(value, " ")
		if s.hashes++; s.hashes > maxFingerprints {
			return fmt.Errorf("more than %d fingerprints", maxFingerprints)
		}
		if f := (fingerprint{strings.ToLower(hash), hex}); f.rank() > s.fingerprint.rank() {
			s.fingerprint = f
		}
	case "candidate":
		s.candidates = append(s.candidates, value)
	case "sctp-port":
		if port, err := strconv.ParseUint(value, 10, 16); err != nil || port == 0 {
			return fmt.Errorf("sctp-port %.20q is not a port", value)
		}
	}
	return nil
}

func (s *session) check() error {
	if err := checkToken("ice-ufrag", s.ufrag, minUfrag, maxUfrag); err != nil {
		return err
	}
	if err := checkToken("ice-pwd", s.password, minPassword, maxPassword); err != nil {
		return err
	}
	if len(s.mid) > maxMid || strings.ContainsFunc(s.mid, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("mid %.40q: want at most %d printable characters", s.mid, maxMid)
	}
	switch s.setup {
	case "", "actpass", "active", "passive":
	default:
		return fmt.Errorf("setup %.20q: want actpass, active or passive", s.setup)
	}
	if s.fingerprint.rank() >= 0 {
		return nil
	}
	return errors.New("no fingerprint of a certificate by SHA-256, SHA-384 or SHA-512")
}

// checkToken checks the name or the secret of a side of ICE. The name is in the packets to the peer's candidates, also to those that
// have not answered, so its size and its characters are limited.
func checkToken(name, text string, least, most int) error {
	if len(text) < least || len(text) > most {
		return fmt.Errorf("%s of %d characters: want %d to %d", name, len(text), least, most)
	}
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/':
		default:
			return fmt.Errorf("%s has the character %q: want letters, digits, + and /", name, c)
		}
	}
	return nil
}

// text writes the session as a description for the library, with the best fingerprint and without candidates.
func (s *session) text() string {
	var b strings.Builder
	line := func(parts ...string) {
		for _, part := range parts {
			b.WriteString(part)
		}
		b.WriteString("\r\n")
	}
	mid := s.mid
	if mid == "" { // the library wants one
		mid = "0"
	}
	line("v=0")
	line("o=- 1 2 IN IP4 0.0.0.0")
	line("s=-")
	line("t=0 0")
	line("a=group:BUNDLE ", mid)
	line("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")
	line("c=IN IP4 0.0.0.0")
	line("a=fingerprint:", s.fingerprint.hash, " ", s.fingerprint.value)
	if s.setup != "" {
		line("a=setup:", s.setup)
	}
	line("a=mid:", mid)
	line("a=sendrecv")
	line("a=sctp-port:5000")
	line("a=ice-ufrag:", s.ufrag)
	line("a=ice-pwd:", s.password)
	return b.String()
}
