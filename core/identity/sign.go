package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const maxChallenge = 64

// Serve answers requests for signatures at <runtime>/identity until stop is called. Only this runtime's own
// components are heard.
func (i *Identity) Serve(bus message.Bus) (stop func()) {
	return bus.Listen(i.url.Join("identity"), func(ctx context.Context, m message.Message) {
		if m.Type == message.Response {
			return
		}
		answer := i.answer(m)
		_ = bus.Post(ctx, answer) // nobody to tell where even the answer cannot be posted
	})
}

// SignEntry is the runtime's signature of its own entry at a Domain Registry.
func (i *Identity) SignEntry(e proof.Entry, issued, expires time.Time) *proof.EntryProof {
	return e.Sign(i.key, issued, expires)
}

func (i *Identity) answer(m message.Message) message.Message {
	if !m.From.Within(i.url) {
		return m.Refuse(message.CodeForbidden, "only components of %s may ask it for a signature", i.url)
	}
	var body struct {
		Method string   `json:"method"`
		Params []string `json:"params"`
	}
	if err := m.Decode(&body); err != nil {
		return m.Refuse(message.CodeBadRequest, "%v", err)
	}
	if m.Type != message.Execute || body.Method != "sign" || len(body.Params) != 3 || body.Params[0] != "message-node" {
		return m.Refuse(message.CodeBadRequest, `want execute with method "sign" and params ["message-node", domain, challenge]`)
	}
	challenge, err := base64.StdEncoding.DecodeString(body.Params[2])
	if err != nil || len(challenge) == 0 || len(challenge) > maxChallenge {
		return m.Refuse(message.CodeBadRequest, "a challenge is base64 of 1 to %d bytes", maxChallenge)
	}
	if len(body.Params[1]) > 255 {
		return m.Refuse(message.CodeBadRequest, "domain longer than 255 bytes")
	}
	signature := ed25519.Sign(i.key, proof.MessageNode(body.Params[1], i.url, challenge))
	return m.Respond(message.CodeOK, map[string]string{
		"key":       base64.StdEncoding.EncodeToString(i.PublicKey()),
		"signature": base64.StdEncoding.EncodeToString(signature),
	})
}
