package transport

import (
	"encoding/json"
	"fmt"

	"github.com/pion/webrtc/v3"
)

// Limits of a peer's signals.
const (
	maxDescription = 64 << 10
	maxCandidate   = 4 << 10
	maxCandidates  = 64
)

// description is the JSON form of an offer or answer.
type description struct {
	Transport string `json:"transport"`
	Type      string `json:"type"` // "offer" or "answer"
	SDP       string `json:"sdp"`
	Socket    string `json:"socket,omitempty"` // the name of the sender's socket, if its connections share one
}

// remoteDescription is a checked description.
type remoteDescription struct {
	session
	kind   webrtc.SDPType
	socket string
}

func encodeDescription(kind, sdp, socket string) json.RawMessage {
	raw, _ := json.Marshal(description{Transport: "webrtc", Type: kind, SDP: sdp, Socket: socket}) // strings only: cannot fail
	return raw
}

// parseDescription reads a peer's description, which must have the type due. The transport's name may be
// missing, since the reference stubs do not write one.
func parseDescription(raw json.RawMessage, due webrtc.SDPType) (remoteDescription, error) {
	var d description
	if len(raw) > maxDescription {
		return remoteDescription{}, fmt.Errorf("description of %d bytes, at most %d", len(raw), maxDescription)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return remoteDescription{}, fmt.Errorf("description: %w", err)
	}
	if d.Transport != "" && d.Transport != "webrtc" {
		return remoteDescription{}, fmt.Errorf("description: transport %.40q instead of \"webrtc\"", d.Transport)
	}
	if d.Type != due.String() || d.SDP == "" {
		return remoteDescription{}, fmt.Errorf("description: type %.40q instead of %q", d.Type, due)
	}
	if len(d.Socket) > 64 {
		return remoteDescription{}, fmt.Errorf("description: socket of %d bytes, at most 64", len(d.Socket))
	}
	said, err := parseSession(d.SDP)
	if err != nil {
		return remoteDescription{}, fmt.Errorf("description: %w", err)
	}
	return remoteDescription{said, due, d.Socket}, nil
}

// candidate is the JSON form of a candidate (specification, "Connection object").
type candidate struct {
	Type          string  `json:"type,omitempty"` // "candidate", as the reference stubs write it
	Candidate     string  `json:"candidate"`
	SDPMid        *string `json:"sdpMid,omitempty"`
	SDPMLineIndex *uint16 `json:"sdpMLineIndex,omitempty"`
}

func encodeCandidate(c webrtc.ICECandidateInit) json.RawMessage {
	raw, _ := json.Marshal(candidate{Type: "candidate", Candidate: c.Candidate, SDPMid: c.SDPMid, SDPMLineIndex: c.SDPMLineIndex})
	return raw
}

func parseCandidate(raw json.RawMessage) (string, error) {
	var c candidate
	if len(raw) > maxCandidate {
		return "", fmt.Errorf("candidate of %d bytes, at most %d", len(raw), maxCandidate)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", fmt.Errorf("candidate: %w", err)
	}
	return c.Candidate, nil
}
