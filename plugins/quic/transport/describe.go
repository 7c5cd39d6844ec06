package transport

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
)

// Limits of a peer's signals.
const (
	maxDescription = 64 << 10
	maxCandidate   = 4 << 10
	maxCandidates  = 64
)

// The types of candidates.
const (
	typeHost      = "host"
	typeReflexive = "srflx"
	typeEnd       = "end"
)

// token names a set-up to the other side.
type token [16]byte

func newToken() (t token) {
	rand.Read(t[:]) // never fails
	return t
}

// description is one side's description.
type description struct {
	certificate hash
	token       token
	candidates  []candidate
}

// candidate is one address of a side; typeEnd has none.
type candidate struct {
	kind    string
	address netip.AddrPort
}

// The JSON forms. Unknown members are ignored, so that a later version may add some.
type descriptionForm struct {
	Transport   string          `json:"transport"`
	Version     int             `json:"version"`
	Certificate string          `json:"certificate"`
	Token       string          `json:"token"`
	Candidates  []candidateForm `json:"candidates"`
}

type candidateForm struct {
	Type    string `json:"type"`
	Address string `json:"address,omitempty"`
}

func (d description) encode() json.RawMessage {
	form := descriptionForm{
		Transport: "quic", Version: 1,
		Certificate: d.certificate.String(), Token: hex.EncodeToString(d.token[:]),
		Candidates: make([]candidateForm, 0, len(d.candidates)),
	}
	for _, c := range d.candidates {
		form.Candidates = append(form.Candidates, c.form())
	}
	raw, _ := json.Marshal(form) // strings and numbers only: cannot fail
	return raw
}

func (c candidate) form() candidateForm {
	if c.kind == typeEnd {
		return candidateForm{Type: typeEnd}
	}
	return candidateForm{Type: c.kind, Address: c.address.String()}
}

func (c candidate) encode() json.RawMessage {
	raw, _ := json.Marshal(c.form())
	return raw
}

// parseDescription reads a peer's description. It leaves out invalid candidates, so that one bad address does not prevent the
// connection.
func parseDescription(raw json.RawMessage) (description, error) {
	var d description
	if len(raw) > maxDescription {
		return d, fmt.Errorf("description of %d bytes, at most %d", len(raw), maxDescription)
	}
	var form descriptionForm
	if err := json.Unmarshal(raw, &form); err != nil {
		return d, fmt.Errorf("description: %w", err)
	}
	if form.Transport != "quic" {
		return d, fmt.Errorf("description: transport %.40q instead of \"quic\"", form.Transport)
	}
	if form.Version != 1 {
		return d, fmt.Errorf("description: version %d, this side speaks 1: upgrade the older of the two", form.Version)
	}
	if err := unhex(d.certificate[:], form.Certificate); err != nil {
		return d, fmt.Errorf("description: certificate: %w", err)
	}
	if err := unhex(d.token[:], form.Token); err != nil {
		return d, fmt.Errorf("description: token: %w", err)
	}
	for _, f := range form.Candidates {
		if len(d.candidates) == maxCandidates {
			break
		}
		if c, err := f.check(); err == nil {
			d.candidates = append(d.candidates, c)
		}
	}
	return d, nil
}

// parseCandidate reads a candidate that followed the description.
func parseCandidate(raw json.RawMessage) (candidate, error) {
	if len(raw) > maxCandidate {
		return candidate{}, fmt.Errorf("candidate of %d bytes, at most %d", len(raw), maxCandidate)
	}
	var form candidateForm
	if err := json.Unmarshal(raw, &form); err != nil {
		return candidate{}, fmt.Errorf("candidate: %w", err)
	}
	return form.check()
}

func (f candidateForm) check() (candidate, error) {
	switch f.Type {
	case typeEnd:
		return candidate{kind: typeEnd}, nil
	case typeHost, typeReflexive:
	default:
		return candidate{}, fmt.Errorf("candidate: unknown type %.40q", f.Type)
	}
	at, err := netip.ParseAddrPort(f.Address)
	if err != nil {
		return candidate{}, fmt.Errorf("candidate: address %.80q is not \"IP:port\"", f.Address)
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if !usable(at) {
		return candidate{}, fmt.Errorf("candidate: nobody can be reached at %s", at)
	}
	return candidate{kind: f.Type, address: at}, nil
}

func unhex(into []byte, text string) error {
	if len(text) != hex.EncodedLen(len(into)) {
		return fmt.Errorf("%d hexadecimal digits instead of %d", len(text), hex.EncodedLen(len(into)))
	}
	if _, err := hex.Decode(into, []byte(text)); err != nil {
		return errors.New("not hexadecimal")
	}
	return nil
}
