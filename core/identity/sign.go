package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const maxChallenge = 64

// Stub is what a stub's signatures depend on.
type Stub struct {
	Role   sdk.Role
	Domain string      // of a RoleNode: the domain of its Message Node
	Remote message.URL // of a RoleRequester: the remote runtime
}

// Bus is what [Identity.Serve] needs of the MessageBus.
type Bus interface {
	Listen(at message.URL, h message.Handler) (stop func())
	Reply(m message.Message) // does not wait
}

// Serve answers requests for signatures at <runtime>/identity until stop is called. stub returns the stub with an address;
// false if none is deployed there. Only a stub gets a signature.
func (i *Identity) Serve(bus Bus, stub func(url message.URL) (Stub, bool)) (stop func()) {
	return bus.Listen(i.url.Join("identity"), func(_ context.Context, m message.Message) {
		if m.Type == message.Response {
			return
		}
		bus.Reply(i.answer(m, stub))
	})
}

// SignEntry returns the runtime's signature of its own entry at a Domain Registry.
func (i *Identity) SignEntry(e proof.Entry, issued, expires time.Time) *proof.EntryProof {
	return e.Sign(i.key, issued, expires)
}

func (i *Identity) answer(m message.Message, stub func(message.URL) (Stub, bool)) message.Message {
	s, ok := stub(m.From)
	if !ok || !m.From.Within(i.url) {
		return m.Refuse(message.CodeForbidden, "only stubs of %s may ask it for a signature", i.url)
	}
	var body struct {
		Method string   `json:"method"`
		Params []string `json:"params"`
	}
	if err := m.Decode(&body); err != nil {
		return m.Refuse(message.CodeBadRequest, "%v", err)
	}
	var text []byte
	var err error
	switch p := body.Params; {
	case m.Type == message.Execute && body.Method == "sign" && len(p) == 3 && p[0] == "message-node":
		text, err = i.messageNode(s, p[1], p[2])
	case m.Type == message.Execute && body.Method == "sign" && len(p) == 4 && p[0] == "p2p":
		text, err = i.p2p(s, p[1], proof.Part(p[2]), p[3])
	default:
		return m.Refuse(message.CodeBadRequest,
			`want execute with method "sign" and params ["message-node", domain, challenge] or ["p2p", runtime, part, digest]`)
	}
	if refusal, ok := err.(*message.ResponseError); ok {
		return m.Refuse(refusal.Code, "%s", refusal.Description)
	}
	return m.Respond(message.CodeOK, map[string]string{
		"key":       base64.StdEncoding.EncodeToString(i.PublicKey()),
		"signature": base64.StdEncoding.EncodeToString(ed25519.Sign(i.key, text)),
	})
}

func refuse(code int, why string) error { return &message.ResponseError{Code: code, Description: why} }

// messageNode makes the text of a proof to a Message Node. The error is a *message.ResponseError.
func (i *Identity) messageNode(s Stub, domain, text string) ([]byte, error) {
	if s.Role != sdk.RoleNode || s.Domain != domain {
		return nil, refuse(message.CodeForbidden, "only the stub of a domain's Message Node proves the runtime there")
	}
	challenge, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(challenge) == 0 || len(challenge) > maxChallenge {
		return nil, refuse(message.CodeBadRequest, "a challenge is base64 of 1 to 64 bytes")
	}
	return proof.MessageNode(domain, i.url, challenge), nil
}

// p2p makes the text of a proof to a P2P peer: a Requester signs offers to its remote runtime, a Handler answers to anyone,
// and each its own side of the channel. The error is a *message.ResponseError.
func (i *Identity) p2p(s Stub, peer string, part proof.Part, text string) ([]byte, error) {
	requester := s.Role == sdk.RoleRequester
	remote, err := message.ParseURL(peer)
	digest, encoding := base64.StdEncoding.DecodeString(text)
	switch {
	case !requester && s.Role != sdk.RoleHandler:
		return nil, refuse(message.CodeForbidden, "only P2P stubs prove the runtime to a peer")
	case err != nil || remote.Runtime() != remote.Canonical() || remote.Runtime() == i.url.Canonical():
		return nil, refuse(message.CodeBadRequest, "the peer is another runtime's address")
	case requester && remote.Runtime() != s.Remote.Runtime():
		return nil, refuse(message.CodeForbidden, "this Requester is for "+string(s.Remote))
	case part != proof.Channel && (part != proof.Offer || !requester) && (part != proof.Answer || requester):
		return nil, refuse(message.CodeBadRequest, "a Requester signs an offer, a Handler an answer, both the channel")
	case encoding != nil || len(digest) != proof.DigestSize:
		return nil, refuse(message.CodeBadRequest, "a digest is base64 of 32 bytes")
	}
	return proof.P2P(part, i.url, remote, requester, digest), nil
}
