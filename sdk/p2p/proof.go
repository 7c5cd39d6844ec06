package p2p

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const (
	nonceSize    = 16
	maxProofText = 1 << 10 // bytes of a connectionProof
)

// connectionProof is the member of a Connection object that proves which runtime has made its description. Its members are base64.
type connectionProof struct {
	Key       []byte `json:"key"`       // the runtime's, of which its address is derived
	Nonce     []byte `json:"nonce"`     // new for each object
	Signature []byte `json:"signature"` // see package proof, P2P; of the offer's or the answer's digest
}

// transcript is what the two sides of a set-up have signed. Its digests identify this set-up. The set-up's lock guards it.
type transcript struct {
	offer, answer []byte // digests; the answer's covers the offer's
	key           []byte // the other side's, once it has signed
}

// signed is a signature of this runtime, or why there is none.
type signed struct {
	key, signature []byte
	err            error
}

// digestOf is a hash of the parts and of where each ends.
func digestOf(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		_, _ = h.Write(p)
	}
	return h.Sum(nil)
}

// digest is what a side signs of its description: which set-up it is for, and every byte of it. offer is the offer's
// digest where the description is an answer.
func (s *setup) digest(offer []byte, object message.URL, nonce, description []byte) []byte {
	requester, handler := s.i.start.URL, s.stub
	if s.peer.Role == Handler {
		requester, handler = handler, requester
	}
	return digestOf(offer, []byte(object.Canonical()), []byte(requester.Canonical()), []byte(handler.Canonical()), nonce, description)
}

// canonical is the one form of a description that is signed, and that transports are given: JSON without white space,
// members in the order of their names, as data objects are sent in any case.
func canonical(description json.RawMessage) (json.RawMessage, error) {
	d, err := object.Parse(description)
	if err != nil {
		return nil, err
	}
	text := d.JSON()
	if len(text) > MaxDescription {
		return nil, fmt.Errorf("a description of %d bytes, at most %d are allowed", len(text), MaxDescription)
	}
	return text, nil
}

// attest signs this side's description and puts the proof into this side's object, before the description: whoever sees the
// description then has the proof. An answer waits for the offer that it answers.
func (s *setup) attest(ctx context.Context, description json.RawMessage) error {
	part := proof.Offer
	if s.peer.Role == Handler {
		part = proof.Answer
		select {
		case <-s.heard:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	s.mu.Lock()
	digest := s.digest(s.said.offer, s.mine.URL(), nonce, description)
	if part == proof.Offer {
		s.said.offer = digest
	} else {
		s.said.answer = digest
	}
	s.mu.Unlock()
	if part == proof.Answer {
		s.complete(digest)
	}
	mine := s.i.sign(ctx, part, s.peer.Remote, digest)
	if mine.err != nil {
		return fmt.Errorf("this runtime has not signed the %s: %w", part, mine.err)
	}
	return s.mine.Set(ctx, attributeProof, connectionProof{Key: mine.key, Nonce: nonce, Signature: mine.signature})
}

// complete is called when both digests are known: the proof for the channel is made while the transport connects.
func (s *setup) complete(digest []byte) {
	s.work.Go(func() { s.ticket <- s.i.sign(s.ctx, proof.Channel, s.peer.Remote, digest) })
}

// verify checks that the description in the other side's object is of the runtime that it should be, and for this
// set-up. It returns the form of it that was signed.
func (s *setup) verify(at message.URL, said signalled) (json.RawMessage, error) {
	part := proof.Offer
	if s.peer.Role == Requester {
		part = proof.Answer
	}
	description, theirs, err := checkConnectionProof(said)
	s.mu.Lock()
	defer s.mu.Unlock()
	var digest []byte
	if err == nil {
		digest = s.digest(s.said.offer, at, theirs.Nonce, description)
		err = proof.VerifyP2P(part, s.peer.Remote, s.peer.Local, part == proof.Offer, digest, theirs.Key, theirs.Signature)
	}
	if err != nil {
		return nil, fmt.Errorf("the %s is not proven to be of %s: %w", part, s.peer.Remote, err)
	}
	s.said.key = theirs.Key
	if part == proof.Offer {
		s.said.offer = digest
		close(s.heard)
	} else {
		s.said.answer = digest
		s.complete(digest)
	}
	return description, nil
}

// checkConnectionProof reads the proof that an object has, and brings its description into the form that was signed.
func checkConnectionProof(said signalled) (description json.RawMessage, p connectionProof, err error) {
	if len(said.Proof) == 0 {
		return nil, p, errors.New("it is not signed")
	}
	if p, err = parseConnectionProof(said.Proof); err != nil {
		return nil, p, err
	}
	description, err = canonical(said.Description)
	return description, p, err
}

// parseConnectionProof reads a proof of the other side.
func parseConnectionProof(text json.RawMessage) (p connectionProof, err error) {
	if len(text) > maxProofText {
		return p, fmt.Errorf("a proof of %d bytes, at most %d are allowed", len(text), maxProofText)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return connectionProof{}, fmt.Errorf("its proof: %w", err)
	}
	if len(p.Nonce) != nonceSize {
		return connectionProof{}, fmt.Errorf("its proof has a nonce of %d bytes, want %d", len(p.Nonce), nonceSize)
	}
	return p, nil
}

// sign asks the runtime for a signature; the key never leaves the core.
func (i *instance) sign(ctx context.Context, part proof.Part, peer message.URL, digest []byte) (s signed) {
	m, err := i.bus.Request(ctx, message.Message{Type: message.Execute, From: i.start.URL, To: i.start.Runtime.Join("identity"),
		Body: message.Encode(map[string]any{"method": "sign",
			"params": []string{"p2p", string(peer), string(part), base64.StdEncoding.EncodeToString(digest)}})})
	var value struct {
		Key       []byte `json:"key"`
		Signature []byte `json:"signature"`
	}
	var text json.RawMessage
	if err == nil {
		if text, err = m.OK(); err == nil {
			err = json.Unmarshal(text, &value)
		}
	}
	return signed{value.Key, value.Signature, err}
}
