package p2p

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// The attributes of a Connection object that change.
const (
	attributeDescription = "connectionDescription"
	attributeCandidates  = "iceCandidates"
	attributeProof       = "connectionProof"
)

// connectionData is the data of a Connection object (specification, "Connection object"). Members that are not
// listed here are ignored.
type connectionData struct {
	Name        string          `json:"name"`
	Status      string          `json:"status"`
	Owner       message.URL     `json:"owner"`      // the reporting stub
	RuntimeURL  message.URL     `json:"runtimeURL"` // its runtime
	Peer        message.URL     `json:"peer,omitempty"`
	Offer       message.URL     `json:"offer,omitempty"` // of an answer: the object that it answers
	Description json.RawMessage `json:"connectionDescription,omitempty"`
	Candidates  json.RawMessage `json:"iceCandidates"`
	Proof       json.RawMessage `json:"connectionProof,omitempty"` // of the description; see connectionProof
}

// connectionObject is a new Connection object of this instance.
func (i *instance) connectionObject(peer, offer message.URL) syncher.Object {
	return syncher.Object{
		Scheme:    message.SchemeConnection,
		Schema:    message.URL("hyperty-catalogue://catalogue." + i.start.Runtime.Domain() + "/.well-known/dataschema/Connection"),
		Name:      "p2p connection",
		Resources: []string{"data"},
		Private:   true,
		Data: message.Encode(connectionData{
			Name: "P2PConnection", Owner: i.start.URL, RuntimeURL: i.start.Runtime, Peer: peer, Offer: offer,
			Candidates: json.RawMessage("[]"),
		}),
	}
}

// checkInvitation tells whether an invitation is to a Connection object of a stub in the runtime that it names, and
// returns that runtime. The error is a *message.ResponseError to answer with.
func (i *instance) checkInvitation(inv syncher.Invitation) (message.URL, error) {
	remote := inv.Runtime.Runtime()
	bad := func(code int, format string, args ...any) (message.URL, error) {
		return "", &message.ResponseError{Code: code, Description: fmt.Sprintf(format, args...), From: inv.Reporter}
	}
	switch {
	case !strings.HasSuffix(string(inv.Schema), "/Connection"):
		return bad(message.CodeBadRequest, "only Connection objects are taken here, not schema %q", inv.Schema)
	case inv.URL.Scheme() != message.SchemeConnection:
		return bad(message.CodeBadRequest, "the address of a Connection object begins with connection://, not %q", inv.URL)
	case remote == "" || remote != inv.Runtime.Canonical():
		return bad(message.CodeBadRequest, "%q is not a runtime", inv.Runtime)
	case remote == i.start.Runtime.Canonical():
		return bad(message.CodeBadRequest, "%s is this runtime itself", remote)
	case inv.Reporter.Runtime() != remote:
		return bad(message.CodeForbidden, "the reporter %q is no component of the runtime %s", inv.Reporter, remote)
	}
	return remote, nil
}

// signalled is what a Connection object tells the transport. Description is nil while it is not complete.
type signalled struct {
	Offer       message.URL
	Description json.RawMessage
	Candidates  []json.RawMessage
	Proof       json.RawMessage
}

// parseConnection reads the data of an observed Connection object of the runtime remote.
func parseConnection(text json.RawMessage, remote message.URL) (signalled, error) {
	if len(text) > maxConnection {
		return signalled{}, fmt.Errorf("the Connection object of %s has %d bytes, at most %d are allowed", remote, len(text), maxConnection)
	}
	var d connectionData
	if err := json.Unmarshal(text, &d); err != nil {
		return signalled{}, fmt.Errorf("the Connection object of %s: %w", remote, err)
	}
	if d.RuntimeURL != "" && d.RuntimeURL.Canonical() != remote.Canonical() {
		return signalled{}, fmt.Errorf("the Connection object of %s says that it is one of %.80q", remote, d.RuntimeURL)
	}
	out := signalled{Offer: d.Offer, Proof: d.Proof}
	if len(d.Description) > MaxDescription {
		return signalled{}, fmt.Errorf("the description of %s has %d bytes, at most %d are allowed", remote, len(d.Description), MaxDescription)
	}
	if completeDescription(d.Description) {
		out.Description = d.Description
	}
	if json.Unmarshal(d.Candidates, &out.Candidates) != nil {
		out.Candidates = nil // the specification's model has an object here, which nobody sends
	}
	return out, nil
}

// completeDescription tells whether all of a description is there. Peers of the field set its members sdp and type
// one after the other (specification, "Timing rules").
func completeDescription(text json.RawMessage) bool {
	var members map[string]json.RawMessage
	if len(bytes.TrimSpace(text)) == 0 || json.Unmarshal(text, &members) != nil || len(members) == 0 {
		return false
	}
	_, hasSDP := members["sdp"]
	_, hasType := members["type"]
	return !(hasSDP || hasType) || hasSDP && hasType
}
